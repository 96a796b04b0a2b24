import { open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemClock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import { isFreePort } from '@tailrace/testkit/free-port';
import { type Exit, type Supervised, startSupervised } from '@tailrace/testkit/supervised';

const root = resolve(import.meta.dirname, '..');
const readyDeadlineMs = 60_000;
const stopDeadlineMs = 15_000;
const internalOffset = 1010;

/**
 * Throws `address_in_use` for the first public port that another process uses, or whose internal port it uses. A
 * service would exit, and the other process might answer its probe of `/readyz`.
 */
export async function assertFreePorts(ports: readonly number[]): Promise<void> {
  for (const port of ports.flatMap((each) => [each, each + internalOffset])) {
    if (await isFreePort(port)) continue;
    const message = `port ${port} on 127.0.0.1 is in use by another process: stop that one, or set another PORT_BASE`;
    throw new TailraceError('address_in_use', message);
  }
}

/** Options with which a service is started and restarted. */
export interface StackServiceOptions {
  /** Of the log file, and in messages. */
  readonly name: string;
  /** From the root of the repository. */
  readonly script: string;
  /** The public port; the internal one is `internalOffset` above. */
  readonly port: number;
  /** Overrides the environment of this process; undefined removes a variable. */
  readonly settings: NodeJS.ProcessEnv;
  /** Folder of `<name>.log`, which a new `StackService` overwrites. */
  readonly data: string;
  /** Called when it exits after it was ready, unless `end` or `stop` stopped it. */
  readonly onExit?: (exit: Exit) => void;
}

/**
 * One service of a stack as a process of its own, which can be stopped and started again under the same name and ports.
 */
export class StackService {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  readonly internal: string;
  readonly log: string;
  readonly #options: StackServiceOptions;
  #process: Supervised | undefined;
  /** The process that `end` stops. */
  #ending: Supervised | undefined;
  #stopping = false;

  constructor(options: StackServiceOptions) {
    const { name, port, data } = options;
    this.#options = options;
    this.name = name;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.internal = `http://127.0.0.1:${port + internalOffset}`;
    this.log = join(data, `${name}.log`);
  }

  /** Process ID of the current or last process; 0 before the first start. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /**
   * Resolves when /readyz returns 200. Throws `address_in_use` where another process has its ports, `unavailable`
   * where the process exits first, `timeout`, and `closed` where it is stopped meanwhile.
   */
  async start(): Promise<void> {
    const { script, port, settings } = this.#options;
    if (this.#process === undefined) {
      await assertFreePorts([port]);
      await (await open(this.log, 'w')).close();
    }
    const child = await startSupervised({
      command: process.execPath,
      args: [join(root, script)],
      env: {
        ...process.env,
        TAILRACE_PORT: String(port),
        TAILRACE_INTERNAL_PORT: String(port + internalOffset),
        ...settings,
      },
      cwd: root,
      output: { file: this.log },
    });
    this.#process = child;
    await this.#ready(child);
    void child.exited.then((exit) => {
      if (child !== this.#ending) this.#options.onExit?.(exit);
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.signal(signal);
  }

  /** Stops the process by a signal, after 15 s by SIGKILL. Resolves when it has exited; it can be started again. */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.#ending = this.#process;
    await this.#process?.stop({ signal, deadlineMs: stopDeadlineMs });
  }

  /** Stops it permanently, also during a start. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.end('SIGTERM');
  }

  async #ready(child: Supervised): Promise<void> {
    const { name, log } = this;
    const deadline = systemClock.monotonic() + readyDeadlineMs;
    let last = 'no answer';
    while (systemClock.monotonic() < deadline) {
      if (this.#stopping) throw new TailraceError('closed', 'stopped');
      if (child.exit() !== undefined) throw new TailraceError('unavailable', `${name} exited; see ${log}`);
      try {
        const answer = await fetch(`${this.internal}/readyz`, { signal: AbortSignal.timeout(2_000) });
        if (answer.ok) return;
        last = await answer.text();
      } catch {
        // Not listening yet.
      }
      await systemClock.sleep(50);
    }
    throw new TailraceError('timeout', `${name} was not ready within ${readyDeadlineMs} ms: ${last}; see ${log}`);
  }
}
