import { join } from 'node:path';
import { eventually } from '@tailrace/testkit/eventually';
import { type ServiceProcess, startService } from '@tailrace/testkit/process';

const root = join(import.meta.dirname, '..');

/** A service that is restarted whenever it exits, as Kubernetes and Compose do, until `stop`. */
export class RestartingService {
  /** Exit codes so far. */
  readonly codes: (number | null)[] = [];
  /** Output of the processes that have exited. */
  output = '';
  readonly #script: string;
  readonly #url: string;
  readonly #env: Readonly<Record<string, string>>;
  #process: ServiceProcess | undefined;
  #restarting: Promise<void> | undefined;
  #stopped = false;

  constructor(script: string, internalPort: number, env: Readonly<Record<string, string>>) {
    this.#script = join(root, script);
    this.#url = `http://127.0.0.1:${internalPort}/readyz`;
    this.#env = env;
  }

  /** Resolves when it is ready. */
  async start(): Promise<void> {
    this.#restarting = this.#run();
    await this.ready(60_000);
  }

  async ready(deadlineMs: number): Promise<void> {
    const check = async () => {
      const answer = await fetch(this.#url, { signal: AbortSignal.timeout(2_000) });
      const why = await answer.text();
      if (!answer.ok) throw new Error(why);
    };
    await eventually(check, { deadlineMs, pollMs: 100, describe: `${this.#env['TAILRACE_NODE']} is ready` });
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.signal(signal);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#process?.kill();
    await this.#restarting;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const running = await startService({ args: [this.#script], env: this.#env, cwd: root });
      this.#process = running;
      if (this.#stopped) await running.kill();
      const { code } = await running.exited;
      this.codes.push(code);
      this.output += running.output();
    }
  }
}
