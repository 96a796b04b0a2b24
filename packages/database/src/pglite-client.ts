import { Worker } from 'node:worker_threads';
import { TailraceError } from '@tailrace/protocol/error';
import { databaseErrorFrom, type ServerReport } from './database-error.ts';
import type { PgliteCall, PgliteReply, PgliteRequest, PgliteWorkerData } from './pglite-messages.ts';
import type { SessionResult } from './session.ts';

interface PendingCall {
  resolve(result: SessionResult | undefined): void;
  reject(error: unknown): void;
}

interface PgliteClientEvents {
  onNotification(channel: string, payload: string): void;
  /** The worker has stopped by itself. Not called at `close`, nor if it has not started. */
  onFailed(error: TailraceError): void;
}

/** The worker thread with PostgreSQL, and the calls in progress. */
export class PgliteClient {
  readonly #worker: Worker;
  readonly #events: PgliteClientEvents;
  readonly #pending = new Map<number, PendingCall>();
  readonly #started = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<void>();
  #isStarted = false;
  #isClosing = false;
  #nextId = 1;
  #failure: TailraceError | undefined;

  private constructor(data: PgliteWorkerData, events: PgliteClientEvents) {
    this.#events = events;
    this.#worker = new Worker(new URL('./pglite-worker.ts', import.meta.url), { workerData: data });
    this.#worker.on('message', (reply: PgliteReply) => this.#receive(reply));
    this.#worker.on('error', (error) => this.#fail(error.message, error));
    this.#worker.on('exit', () => {
      this.#fail('the worker thread has exited');
      this.#exited.resolve();
    });
  }

  /** Resolves when PostgreSQL accepts statements. Rejects with `unavailable`, after the worker has exited. */
  static async start(data: PgliteWorkerData, events: PgliteClientEvents): Promise<PgliteClient> {
    const client = new PgliteClient(data, events);
    try {
      await client.#started.promise;
    } catch (error) {
      await client.terminate();
      throw error;
    }
    return client;
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

  /** Stops PostgreSQL in order. Rejects with `unavailable` if it had failed before. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.call({ call: 'close' });
    await this.#exited.promise;
  }

  /** Stops the thread at once, as a kill would stop a server. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #receive(reply: PgliteReply): void {
    if ('started' in reply) {
      this.#isStarted = true;
      this.#started.resolve();
    } else if ('failed' in reply) {
      this.#fail(reply.failed);
      void this.terminate();
    } else if ('channel' in reply) {
      this.#events.onNotification(reply.channel, reply.payload);
    } else {
      const pending = this.#pending.get(reply.id);
      this.#pending.delete(reply.id);
      if ('error' in reply) pending?.reject(databaseErrorFrom(errorFrom(reply.error)));
      else pending?.resolve(reply.result);
    }
  }

  #fail(reason: string, cause?: unknown): void {
    if (this.#failure) return;
    const error = new TailraceError('unavailable', `database: the embedded store has stopped: ${reason}`, { cause });
    this.#failure = error;
    this.#started.reject(error);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    if (this.#isStarted && !this.#isClosing) this.#events.onFailed(error);
  }
}

/** Errors of a worker arrive without their fields. */
function errorFrom(report: ServerReport): Error {
  return Object.assign(new Error(report.message), report);
}
