import { type ChildProcess, fork } from 'node:child_process';
import { TailraceError } from '@tailrace/protocol/error';

/** Handlers of a child process by name. Each takes one value, which may be undefined. */
export type RequestHandlers = { readonly [kind: string]: (argument: never) => unknown };

interface Request {
  readonly id: number;
  readonly kind: string;
  readonly argument: unknown;
}

interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

export interface RequestProcessOptions {
  readonly script: string;
  /** Command that runs the command after it, such as `nice -n 19`; empty for none. */
  readonly prefix?: readonly string[];
}

/** A child process that answers requests. It exits with this process. */
export class RequestProcess<H extends RequestHandlers> {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  readonly #exited: Promise<void>;
  #nextId = 1;

  constructor({ script, prefix = [] }: RequestProcessOptions) {
    const [first, ...rest] = prefix;
    this.#child = fork(script, {
      serialization: 'advanced',
      ...(first === undefined ? {} : { execPath: first, execArgv: [...rest, process.execPath] }),
    });
    this.#child.on('message', (message) => this.#take(message as Reply));
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        for (const { reject } of this.#waiting.values()) {
          reject(new TailraceError('closed', `${script} exited (${code ?? signal}) before it answered`));
        }
        this.#waiting.clear();
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Rejects with the error of the handler, `closed` where the process exits, or `timeout` at the deadline. */
  request<K extends keyof H & string>(
    kind: K,
    argument: Parameters<H[K]>[0],
    deadlineMs = 120_000,
  ): Promise<Awaited<ReturnType<H[K]>>> {
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(
      () => reject(new TailraceError('timeout', `${kind}: no answer within ${deadlineMs} ms`)),
      deadlineMs,
    );
    this.#waiting.set(id, { resolve, reject });
    this.#child.send({ id, kind, argument } satisfies Request);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }) as Promise<Awaited<ReturnType<H[K]>>>;
  }

  /** Kills the process. Idempotent. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#exited;
  }

  #take({ id, value, error }: Reply): void {
    const waiting = this.#waiting.get(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new TailraceError('internal', error));
  }
}

/** The child's side: answers requests until the parent exits. */
export function serveRequests(handlers: RequestHandlers): void {
  const answer = async ({ id, kind, argument }: Request) => {
    try {
      const handler = handlers[kind] as ((argument: unknown) => unknown) | undefined;
      if (handler === undefined) throw new TailraceError('invalid_message', `expected a known request, got ${kind}`);
      process.send?.({ id, value: await handler(argument) } satisfies Reply);
    } catch (thrown) {
      process.send?.({ id, error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
    }
  };
  process.on('message', (request) => void answer(request as Request));
  process.on('disconnect', () => process.exit(0));
}
