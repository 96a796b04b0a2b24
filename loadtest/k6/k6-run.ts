import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** What a scenario prints when its first report is sent; see lib/publish.ts. */
const startedText = 'devices start to report';

/** k6 as a child process. Its output goes to that of this process. */
export class K6Run {
  /** Resolves with its exit code, 1 after a signal. Never rejects. */
  readonly exited: Promise<number>;
  /** Resolves when devices start to report: all clients are connected then. Never, if k6 exits before. */
  readonly started: Promise<void>;
  readonly #child: ChildProcess;

  constructor(k6: string, script: string, env: NodeJS.ProcessEnv) {
    const child = spawn(k6, ['run', '--quiet', '--no-usage-report', script], {
      env,
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    this.#child = child;
    this.started = new Promise((resolve) => {
      child.stderr?.on('data', (chunk: Buffer) => {
        process.stderr.write(chunk);
        if (chunk.includes(startedText)) resolve();
      });
    });
    this.exited = this.#exit();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  stop(): void {
    this.#child.kill('SIGINT');
  }

  async #exit(): Promise<number> {
    try {
      const [code] = (await once(this.#child, 'exit')) as [number | null];
      return code ?? 1;
    } catch (error) {
      process.stderr.write(`cannot run k6: ${String(error)}\n`);
      return 1;
    }
  }
}
