import type { ServerResponse } from 'node:http';
import type { Queryable } from '@tailrace/database/database';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import type { FleetProgress } from './fleet-service.ts';
import { findFleets, fleetCounts } from './fleet-store.ts';

/*
 * The progress of fleet commands as server-sent events (HTML, 9.2). All watchers of a process share one query a second.
 * An event has the whole progress, so that a slow watcher misses nothing but intermediate ones.
 */

/** At most one event of a fleet command in this time, ms. */
const everyMs = 1_000;
/** A comment after this time without an event keeps the connection open, ms. */
const idleMs = 15_000;
/** After this time the stream stops, and the watcher requests it again, with a token that is valid, ms. */
const streamMs = 600_000;
/** Watchers of this process. */
export const watchersMax = 100;
/** While more bytes wait in a socket, nothing is written to it. */
const waitingBytesMax = 65_536;

interface Watcher {
  readonly id: string;
  readonly response: ServerResponse;
  readonly startedMs: number;
  /** The last event. */
  sent: string;
  sentMs: number;
}

export interface FleetWatchOptions {
  readonly database: Queryable;
  readonly clock: Clock;
  /** Returns the data of an event. */
  readonly dataOf: (progress: FleetProgress) => object;
}

/** Streams of the progress of fleet commands. */
export class FleetWatch {
  readonly #options: FleetWatchOptions;
  readonly #watchers = new Set<Watcher>();
  #timer: Timer | undefined;
  #polling: Promise<void> | undefined;

  constructor(options: FleetWatchOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#watchers.size;
  }

  /** Throws `limit_reached` if no further watcher may be added. */
  assertPlace(): void {
    if (this.#watchers.size < watchersMax) return;
    throw new TailraceError('limit_reached', `watchers: expected at most ${watchersMax} of one process, got one more`, {
      retryable: true,
    });
  }

  /** Sends the progress of a fleet command to a client, now and at each change, until it is final. */
  add(id: string, progress: FleetProgress, response: ServerResponse): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonic();
    const watcher: Watcher = { id, response, startedMs: nowMs, sent: '', sentMs: nowMs };
    this.#watchers.add(watcher);
    response.on('close', () => this.#remove(watcher));
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      // nginx would collect the events (its documentation, "proxy_buffering").
      'x-accel-buffering': 'no',
    });
    this.#send(watcher, progress, nowMs);
    this.#timer ??= clock.every(everyMs, () => this.#poll());
  }

  /** Stops all streams. */
  async stop(): Promise<void> {
    for (const watcher of [...this.#watchers]) this.#end(watcher);
    await this.#polling;
  }

  #poll(): void {
    this.#polling ??= this.#update()
      // The store is away: the watchers wait.
      .catch(() => undefined)
      .then(() => {
        this.#polling = undefined;
      });
  }

  async #update(): Promise<void> {
    const { database, clock } = this.#options;
    const ids = [...new Set([...this.#watchers].map(({ id }) => id))];
    const [fleets, counts] = await Promise.all([findFleets(database, ids), fleetCounts(database, ids)]);
    const nowMs = clock.monotonic();
    for (const watcher of [...this.#watchers]) {
      const fleet = fleets.get(watcher.id);
      if (fleet !== undefined) this.#send(watcher, { fleet, counts: counts.get(watcher.id)! }, nowMs);
      if (fleet === undefined || nowMs >= watcher.startedMs + streamMs) this.#end(watcher);
    }
  }

  #send(watcher: Watcher, progress: FleetProgress, nowMs: number): void {
    const { response } = watcher;
    if (response.writableLength > waitingBytesMax) return;
    const data = JSON.stringify(this.#options.dataOf(progress));
    if (data !== watcher.sent) response.write(`event: progress\ndata: ${data}\n\n`);
    else if (nowMs >= watcher.sentMs + idleMs) response.write(':\n\n');
    else return;
    watcher.sent = data;
    watcher.sentMs = nowMs;
    if (progress.fleet.isFinal) this.#end(watcher);
  }

  #end(watcher: Watcher): void {
    watcher.response.end();
    this.#remove(watcher);
  }

  #remove(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
