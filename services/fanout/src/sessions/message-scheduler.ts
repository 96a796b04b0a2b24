import type { Clock } from '@tailrace/platform/clock';
import { FairQueue, Flow } from '../catch-up/fair-queue.ts';

/** Time for messages of clients in one turn of the event loop, ms; exceeded by at most one message. */
const turnMs = 2;
/** Bytes of the waiting messages of one client; with more, all of them are handled at once. */
const clientBytesMax = 262_144;
/** Bytes of the waiting messages of all clients; with more, each message is handled at once. */
const waitingBytesMaxDefault = 33_554_432;
/** Memory of a waiting message beside its bytes. */
const messageOverheadBytes = 64;

type Data = string | Uint8Array;

/** The messages of one client that wait for a later turn of the event loop. */
export class Inbox extends Flow {
  readonly waiting: Data[] = [];
  bytes = 0;
  readonly handle: (data: Data) => void;

  /** `handle` must not throw. */
  constructor(handle: (data: Data) => void) {
    super();
    this.handle = handle;
  }
}

/**
 * Limits the time for messages of clients in one turn of the event loop. The kernel delivers all that a client has
 * sent meanwhile together: several clients with a thousand small messages each would delay live data by tens of
 * milliseconds.
 *
 * Beyond `turnMs` the next messages wait for the next turn. Clients take turns by the time that they have used. The
 * messages of one client stay in order. At the limits of memory messages are handled at once instead.
 */
export class MessageScheduler {
  readonly waitingBytesMax: number;
  /** Messages that have waited. */
  readonly counts = { waited: 0 };
  waitingBytes = 0;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #defer: (call: () => void) => void;
  readonly #queue = new FairQueue<Inbox>();
  readonly #nextTurn = () => this.#turn();
  /** Time used in this turn of the event loop, ms. */
  #usedMs = 0;
  #isDeferred = false;

  /** `defer`: calls once in a later turn of the event loop, after everything that is ready now: `setImmediate`. */
  constructor(options: {
    clock: Pick<Clock, 'monotonic'>;
    defer: (call: () => void) => void;
    waitingBytesMax?: number;
  }) {
    this.#clock = options.clock;
    this.#defer = options.defer;
    this.waitingBytesMax = options.waitingBytesMax ?? waitingBytesMaxDefault;
  }

  /** Returns whether a message is handled at once. `inbox`: of its client, undefined if none of its messages waited. */
  isFree(inbox: Inbox | undefined): boolean {
    return this.#usedMs < turnMs && (inbox === undefined || inbox.waiting.length === 0);
  }

  /** Counts the time of a message that was handled at once. */
  spend(ms: number): void {
    this.#usedMs += ms;
    this.#arm();
  }

  /** Handles a message after those of its client that wait. Keeps `data`. */
  wait(inbox: Inbox, data: Data): void {
    this.counts.waited++;
    inbox.waiting.push(data);
    this.#count(inbox, bytesOf(data));
    if (!inbox.isQueued) this.#queue.add(inbox);
    this.#arm();
    if (inbox.bytes <= clientBytesMax && this.waitingBytes <= this.waitingBytesMax) return;
    // The client stays in the queue, where it has nothing left.
    while (inbox.waiting.length > 0) this.#handleNext(inbox);
  }

  #turn(): void {
    this.#isDeferred = false;
    this.#usedMs = 0;
    while (this.#usedMs < turnMs) {
      const inbox = this.#queue.take();
      if (inbox === undefined) {
        this.#queue.idle();
        return;
      }
      this.#handleNext(inbox);
      if (inbox.waiting.length > 0) this.#queue.add(inbox);
    }
    this.#arm();
  }

  #handleNext(inbox: Inbox): void {
    const data = inbox.waiting.shift();
    if (data === undefined) return;
    this.#count(inbox, -bytesOf(data));
    const startMs = this.#clock.monotonic();
    inbox.handle(data);
    const ms = this.#clock.monotonic() - startMs;
    this.#usedMs += ms;
    this.#queue.charge(inbox, ms);
  }

  #count(inbox: Inbox, bytes: number): void {
    inbox.bytes += bytes;
    this.waitingBytes += bytes;
  }

  #arm(): void {
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    this.#defer(this.#nextTurn);
  }
}

function bytesOf(data: Data): number {
  return data.length + messageOverheadBytes;
}
