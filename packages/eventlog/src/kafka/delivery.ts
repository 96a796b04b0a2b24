import type { Clock, Timer } from '@tailrace/platform/clock';
import { callSize } from '../call-size.ts';
import type { LogBatch, LogRecord } from '../eventlog.ts';

/** A partition that is read from `next` on. */
export function createLease(topic: string, partition: number, topicId: string, next: number): Lease {
  return {
    topic,
    partition,
    topicId,
    next,
    end: next,
    stuckSinceMs: undefined,
    reconnects: 0,
    retryAtMs: 0,
    failures: 0,
    doubtfulSeq: -1,
    held: false,
    gone: false,
  };
}

/** One partition of one topic while it is this member's. */
export interface Lease {
  readonly topic: string;
  readonly partition: number;
  /** Of the topic that the position is in: one made again under the name is another. */
  topicId: string;
  /** Where the next fetch reads. */
  next: number;
  /** The end of the partition at the last fetch. */
  end: number;
  /** Since when the partition has had more than was read, and nothing came; undefined while all is well. */
  stuckSinceMs: number | undefined;
  /** Times that connections were made again because of it, since it last moved. */
  reconnects: number;
  /** It is not fetched before; monotonic ms. */
  retryAtMs: number;
  /** Fetches of it that failed, since the last one that did not. */
  failures: number;
  /**
   * Where a batch lay that could not be read the first time, for a reason that may pass: see `doubtfulIn`. -1:
   * none.
   */
  doubtfulSeq: number;
  /** Assigned to somebody else in a generation that the subscriber has not been told of yet: nothing is handed over. */
  held: boolean;
  /** Somebody else's. What is still on its way is dropped. */
  gone: boolean;
}

export interface KafkaDeliveryOptions {
  readonly clock: Clock;
  readonly recordsMax: number;
  readonly bytesMax: number;
  onBatches(batches: readonly LogBatch[]): void | Promise<void>;
  report(thrown: unknown): void;
}

interface Fetched {
  readonly lease: Lease;
  readonly records: LogRecord[];
  readonly bytes: number;
}

interface HandedBatch extends LogBatch {
  readonly lease: Lease;
}

/**
 * `idle`: nothing to hand over, or not allowed to. `due`: the next turn of the loop hands over what is there by then.
 * `calling`: `onBatches` runs. `pausing`: it was rejected and is called again after a pause. `ended`: never again.
 */
type State = 'idle' | 'due' | 'calling' | 'pausing' | 'ended';

const pauseFirstMs = 50;
const pauseMaxMs = 5000;

/**
 * The queue between fetching and the subscriber. Fetching never waits for the subscriber and the subscriber never for the
 * network: what comes is queued, and as much as `callSize` allows is handed over in one call. At half its bound the
 * queue asks for no more (`room`), so that one answer more usually fits; of what does not, the rest is read again
 * later.
 */
export class KafkaDelivery {
  readonly #options: KafkaDeliveryOptions;
  #state: State = 'idle';
  #suspended = false;
  #ending = false;
  #fetched: Fetched[] = [];
  #records = 0;
  #bytes = 0;
  #inHand: readonly HandedBatch[] | undefined;
  #rejections = 0;
  #timer: Timer | undefined;
  #atBoundary: (() => void)[] = [];
  #wantingRoom: (() => void)[] = [];

  constructor(options: KafkaDeliveryOptions) {
    this.#options = options;
  }

  queue(): { readonly records: number; readonly recordsMax: number } {
    const { recordsMax } = this.#options;
    let records = this.#records;
    if (this.#state !== 'calling') for (const batch of this.#inHand ?? []) records += batch.records.length;
    return { records: Math.min(records, recordsMax), recordsMax };
  }

  hasRoom(): boolean {
    const { recordsMax, bytesMax } = this.#options;
    return this.#records < recordsMax / 2 && this.#bytes < bytesMax / 2;
  }

  /** Resolves when there may be room again, or the delivery has ended. */
  room(): Promise<void> {
    if (this.hasRoom() || this.#state === 'ended') return Promise.resolve();
    return new Promise((resolve) => this.#wantingRoom.push(resolve));
  }

  /** Takes the records into the queue, as many as fit. Answers how many. */
  push(lease: Lease, records: LogRecord[], bytes: number): number {
    if (this.#state === 'ended' || lease.gone) return 0;
    const fits = Math.min(records.length, this.#options.recordsMax - this.#records);
    if (fits <= 0) return 0;
    const share = fits === records.length ? bytes : Math.ceil((bytes * fits) / records.length);
    this.#fetched.push({ lease, records: fits === records.length ? records : records.slice(0, fits), bytes: share });
    this.#records += fits;
    this.#bytes += share;
    this.kick();
    return fits;
  }

  /** No further call begins until `resume`. Resolves when none is running. */
  suspend(): Promise<void> {
    this.#suspended = true;
    return this.boundary();
  }

  resume(): void {
    if (this.#ending) return;
    this.#suspended = false;
    this.kick();
  }

  /** Something that was held may go now. */
  kick(): void {
    if (this.#isIdle()) this.#schedule();
  }

  /** Resolves, in the same turn of the loop, when no call is running. */
  boundary(): Promise<void> {
    if (this.#state !== 'calling') return Promise.resolve();
    return new Promise((resolve) => this.#atBoundary.push(resolve));
  }

  /** Drops what is queued of leases that are gone. */
  sweep(): void {
    this.#fetched = this.#fetched.filter(({ lease, records, bytes }) => {
      if (!lease.gone) return true;
      this.#records -= records.length;
      this.#bytes -= bytes;
      return false;
    });
    this.#giveRoom();
    if (this.#state === 'calling') return;
    this.#inHand = this.#inHand?.filter(({ lease }) => !lease.gone);
    if (this.#inHand?.length === 0) this.#inHand = undefined;
  }

  /** No call begins any more. Resolves when none is running. */
  async end(): Promise<void> {
    this.#ending = true;
    await this.suspend();
    this.#state = 'ended';
    this.#timer?.cancel();
    this.#fetched = [];
    this.#inHand = undefined;
    this.#records = 0;
    this.#bytes = 0;
    this.#giveRoom();
  }

  #schedule(): void {
    this.#state = 'due';
    setImmediate(this.#step);
  }

  readonly #step = (): void => {
    if (this.#state === 'ended') return;
    this.#state = 'idle';
    if (this.#suspended) return;
    const batches = this.#inHand ?? this.#take();
    // Batches that were refused wait, with everything behind them, until it is known whose their partition is.
    if (batches.length === 0 || batches.some(({ lease }) => lease.held)) return;
    this.#state = 'calling';
    this.#inHand = batches;
    try {
      const answer = this.#options.onBatches(batches);
      if (answer === undefined) this.#accepted();
      else answer.then(this.#accepted, this.#rejected);
    } catch (thrown) {
      this.#rejected(thrown);
    }
  };

  /** As many as one call may have. What does not fit waits for the next one, in its order. */
  #take(): readonly HandedBatch[] {
    const batches: HandedBatch[] = [];
    const byLease = new Map<Lease, HandedBatch & { records: LogRecord[] }>();
    const left: Fetched[] = [];
    let room = callSize(this.#records);
    for (const fetched of this.#fetched) {
      const { lease } = fetched;
      if (lease.held || room === 0) {
        left.push(fetched);
        continue;
      }
      const { records, bytes } = room < fetched.records.length ? this.#split(fetched, room, left) : fetched;
      room -= records.length;
      this.#records -= records.length;
      this.#bytes -= bytes;
      const batch = byLease.get(lease);
      if (batch === undefined) {
        const begun = { topic: lease.topic, partition: lease.partition, records, lease };
        byLease.set(lease, begun);
        batches.push(begun);
      } else batch.records = batch.records.concat(records);
    }
    this.#fetched = left;
    this.#giveRoom();
    return batches;
  }

  /** Returns the first `count` records; the rest goes to `left`. */
  #split({ lease, records, bytes }: Fetched, count: number, left: Fetched[]): Fetched {
    const share = Math.ceil((bytes * count) / records.length);
    left.push({ lease, records: records.slice(count), bytes: bytes - share });
    return { lease, records: records.slice(0, count), bytes: share };
  }

  readonly #accepted = (): void => {
    this.#inHand = undefined;
    this.#rejections = 0;
    this.#state = 'idle';
    this.#passBoundary();
    if (this.#fetched.length > 0 && this.#isIdle()) this.#schedule();
  };

  readonly #rejected = (thrown: unknown): void => {
    this.#state = 'pausing';
    const pauseMs = Math.min(pauseMaxMs, pauseFirstMs * 2 ** this.#rejections);
    this.#rejections = Math.min(this.#rejections + 1, 10);
    this.#timer = this.#options.clock.after(pauseMs, this.#step);
    this.sweep();
    this.#passBoundary();
    this.#options.report(thrown);
  };

  #isIdle(): boolean {
    return this.#state === 'idle' && !this.#suspended;
  }

  #passBoundary(): void {
    const passed = this.#atBoundary;
    this.#atBoundary = [];
    for (const call of passed) call();
  }

  #giveRoom(): void {
    if (this.#wantingRoom.length === 0 || (this.#state !== 'ended' && !this.hasRoom())) return;
    const waiting = this.#wantingRoom;
    this.#wantingRoom = [];
    for (const call of waiting) call();
  }
}
