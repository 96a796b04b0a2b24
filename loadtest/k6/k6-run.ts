import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** What a scenario says when its first report goes out; see lib/publish.ts. */
const begun = 'the devices report';

/** k6 as a process, whose output goes where ours goes. */
export class K6Run {
  /** Resolves with its exit code, 1 where a signal ended it. Never rejects. */
  readonly ended: Promise<number>;
  /** Resolves when devices report: everybody is connected then. Never, where k6 ends before. */
  readonly begun: Promise<void>;
  readonly #child: ChildProcess;

  constructor(k6: string, script: string, env: NodeJS.ProcessEnv) {
    const child = spawn(k6, ['run', '--quiet', '--no-usage-report', script], {
      env,
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    this.#child = child;
    this.begun = new Promise((resolve) => {
      child.stderr?.on('data', (chunk: Buffer) => {
        process.stderr.write(chunk);
        if (chunk.includes(begun)) resolve();
      });
    });
    this.ended = this.#end();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  }

  get isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  stop(): void {
    this.#child.kill('SIGINT');
  }

  async #end(): Promise<number> {
    try {
      const [code] = (await once(this.#child, 'exit')) as [number | null];
      return code ?? 1;
    } catch (error) {
      process.stderr.write(`cannot run k6: ${String(error)}\n`);
      return 1;
    }
  }
}
