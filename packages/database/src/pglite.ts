import { Worker } from 'node:worker_threads';
import { type Clock, systemClock, type Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import { quoted } from './copy-text.ts';
import type { Database, DatabaseStats, Listening, NotificationListener } from './database.ts';
import { databaseErrorFrom, type ServerReport } from './database-error.ts';
import type { PgliteCall, PgliteReply, PgliteRequest, PgliteWorkerData } from './pglite-messages.ts';
import type { Session, SessionResult, SessionSource } from './session.ts';
import { SessionDatabase } from './session-database.ts';
import { SessionQueue } from './session-queue.ts';

export interface PgliteOptions {
  /** Folder of the store, created if it is missing. Undefined: in memory, lost at `close`. */
  readonly directory?: string;
  readonly logger: Logger;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Calls that wait for the one connection; beyond it they are rejected with `limit_reached`. Default: 1,000. */
  readonly waitingMax?: number;
  /** Maximum wait for the connection, ms. Default: 10,000. */
  readonly acquireTimeoutMs?: number;
  /**
   * Maximum of a statement, ms. Default: 30,000. PostgreSQL in WebAssembly cannot be interrupted: the call is rejected,
   * the statement continues, and the calls behind it wait.
   */
  readonly statementTimeoutMs?: number;
  /** The file of a new database, for fast tests; see `PgliteWorkerData`. */
  readonly template?: string;
}

/**
 * Creates a database on PostgreSQL in a worker thread of this process: one connection, about 130 MB of memory, the
 * start takes 0.5 s, and 3 s for a new directory. One process at a time may have the directory.
 */
export function createPgliteDatabase(options: PgliteOptions): Database {
  const clock = options.clock ?? systemClock;
  return new SessionDatabase(new PgliteSource(options, clock), clock);
}

class PgliteSource implements SessionSource {
  readonly #options: PgliteOptions;
  readonly #clock: Clock;
  readonly #queue: SessionQueue;
  readonly #listeners = new Map<string, Set<NotificationListener>>();
  #worker: PgliteWorker | undefined;

  constructor(options: PgliteOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    const { waitingMax = 1_000, acquireTimeoutMs = 10_000 } = options;
    this.#queue = new SessionQueue({ clock, waitingMax, acquireTimeoutMs });
  }

  async start(): Promise<void> {
    const { directory, template } = this.#options;
    this.#worker = await PgliteWorker.start({ directory, template }, (channel, payload) =>
      this.#onNotification(channel, payload),
    );
  }

  async acquire(): Promise<Session> {
    const release = await this.#queue.acquire();
    const worker = this.#worker;
    if (worker === undefined) {
      release();
      throw new TailraceError('unavailable', 'database: the embedded store has not started');
    }
    return new PgliteSession(worker, release, this.#clock, this.#options.statementTimeoutMs ?? 30_000);
  }

  async listen(channel: string, listener: NotificationListener): Promise<Listening> {
    const session = await this.acquire();
    try {
      await session.script(`LISTEN ${quoted(channel)}`);
    } finally {
      session.release();
    }
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners);
    // The same listener may be there twice.
    const entry = { ...listener, onNotification: (payload: string) => listener.onNotification(payload) };
    listeners.add(entry);
    return {
      stop: async () => {
        listeners.delete(entry);
      },
    };
  }

  stats(): DatabaseStats {
    const started = this.#worker !== undefined;
    return {
      busy: this.#queue.isBusy ? 1 : 0,
      connections: started ? 1 : 0,
      connectionsMax: 1,
      waiting: this.#queue.waiting,
      waitingMax: this.#options.waitingMax ?? 1_000,
      refused: this.#queue.refused,
      lost: 0,
      connected: started,
    };
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.close();
  }

  #onNotification(channel: string, payload: string): void {
    for (const listener of this.#listeners.get(channel) ?? []) {
      try {
        listener.onNotification(payload);
      } catch (error) {
        this.#options.logger.error({ error, channel }, 'a listener of notifications failed');
      }
    }
  }
}

class PgliteSession implements Session {
  readonly #worker: PgliteWorker;
  readonly #release: () => void;
  readonly #clock: Clock;
  #statementTimeoutMs: number;
  #cancel: (() => void) | undefined;
  /** Settles when the worker has nothing of this session in progress. */
  #idle: Promise<unknown> = Promise.resolve();

  constructor(worker: PgliteWorker, release: () => void, clock: Clock, statementTimeoutMs: number) {
    this.#worker = worker;
    this.#release = release;
    this.#clock = clock;
    this.#statementTimeoutMs = statementTimeoutMs;
  }

  async query(sql: string, parameters: readonly (string | null)[]): Promise<SessionResult> {
    return (await this.#call({ call: 'query', sql, parameters }))!;
  }

  async script(sql: string): Promise<void> {
    await this.#call({ call: 'script', sql });
  }

  async copy(sql: string, chunks: AsyncIterable<string>): Promise<void> {
    const statement = sql.replace(/STDIN$/, "'/dev/blob'");
    for await (const text of chunks) await this.#call({ call: 'copy', sql: statement, text });
  }

  /** Of this transaction alone: the next caller has a session of its own. */
  async setStatementTimeout(limitMs: number): Promise<void> {
    this.#statementTimeoutMs = limitMs;
  }

  cancel(): void {
    this.#cancel?.();
  }

  release(): void {
    void this.#idle.then(this.#release, this.#release);
  }

  /** Rejects when the worker does, after the time-out, or when it is canceled, whichever is first. */
  async #call(call: PgliteCall): Promise<SessionResult | undefined> {
    const done = this.#worker.call(call);
    this.#idle = done.catch(() => {});
    const interrupted = Promise.withResolvers<never>();
    const limitMs = this.#statementTimeoutMs;
    const timer: Timer = this.#clock.after(limitMs, () =>
      interrupted.reject(new TailraceError('timeout', `database: the statement has not finished within ${limitMs} ms`)),
    );
    this.#cancel = () => interrupted.reject(new TailraceError('canceled', 'database: the statement was canceled'));
    try {
      return await Promise.race([done, interrupted.promise]);
    } finally {
      timer.cancel();
      this.#cancel = undefined;
    }
  }
}

interface PendingCall {
  resolve(result: SessionResult | undefined): void;
  reject(error: unknown): void;
}

/** The worker thread and the calls in progress. */
class PgliteWorker {
  readonly #worker: Worker;
  readonly #pending = new Map<number, PendingCall>();
  readonly #started = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<void>();
  readonly #onNotification: (channel: string, payload: string) => void;
  #nextId = 1;
  #failure: TailraceError | undefined;

  private constructor(data: PgliteWorkerData, onNotification: (channel: string, payload: string) => void) {
    this.#onNotification = onNotification;
    this.#worker = new Worker(new URL('./pglite-worker.ts', import.meta.url), { workerData: data });
    this.#worker.on('message', (reply: PgliteReply) => this.#receive(reply));
    this.#worker.on('error', (error) => this.#fail(error.message, error));
    this.#worker.on('exit', () => {
      this.#fail('the worker thread has exited');
      this.#exited.resolve();
    });
  }

  static async start(
    data: PgliteWorkerData,
    onNotification: (channel: string, payload: string) => void,
  ): Promise<PgliteWorker> {
    const worker = new PgliteWorker(data, onNotification);
    await worker.#started.promise;
    return worker;
  }

  call(call: PgliteCall): Promise<SessionResult | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#failure) {
        reject(this.#failure);
        return;
      }
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ ...call, id } satisfies PgliteRequest);
    });
  }

  async close(): Promise<void> {
    if (this.#failure === undefined) await this.call({ call: 'close' });
    await this.#exited.promise;
  }

  #receive(reply: PgliteReply): void {
    if ('started' in reply) this.#started.resolve();
    else if ('failed' in reply) this.#fail(reply.failed);
    else if ('channel' in reply) this.#onNotification(reply.channel, reply.payload);
    else {
      const pending = this.#pending.get(reply.id);
      this.#pending.delete(reply.id);
      if ('error' in reply) pending?.reject(databaseErrorFrom(errorFrom(reply.error)));
      else pending?.resolve(reply.result);
    }
  }

  #fail(reason: string, cause?: unknown): void {
    const error = new TailraceError('unavailable', `database: the embedded store has stopped: ${reason}`, { cause });
    this.#failure ??= error;
    this.#started.reject(error);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

/** Errors of a worker arrive without their fields. */
function errorFrom(report: ServerReport): Error {
  return Object.assign(new Error(report.message), report);
}
