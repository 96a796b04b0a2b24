import type { Clock, Timer } from '@tailrace/platform/clock';
import { backoffMs, noJitter } from '@tailrace/protocol/backoff';

/** An item of a queue: a message, an event or a dead letter. */
export interface RetryItem {
  /** What it counts in `RetryQueue.bytes`. */
  readonly bytes: number;
  /** Set by the queue. */
  order: number;
}

export interface RetryQueueLimits {
  /** Default: no limit. */
  readonly itemsMax?: number;
  /** Default: no limit. */
  readonly bytesMax?: number;
}

export interface RetryQueueOptions<Item extends RetryItem> {
  /**
   * Passes an item to the log. `done` or `refused` is to be called for it once, not within this call. `isRetry`: the
   * log has refused it before.
   */
  readonly append: (item: Item, isRetry: boolean) => void;
  /** Returns whether the log takes no item now; then items wait. Default: never. */
  readonly isBlocked?: () => boolean;
  /** Undefined: the source limits what it adds. */
  readonly limits?: RetryQueueLimits;
  readonly clock: Pick<Clock, 'after'>;
  /** From 0 to 1. Without it each wait is its upper bound. */
  readonly random?: () => number;
}

/** Waits after refusals of the log. Each is at least half of its upper bound: sooner the log would refuse again. */
export const logRetry = { baseMs: 200, capMs: 2_000 } as const;
/** When items are tried again that wait because the log is blocked. */
const blockedRetryMs = 100;

/**
 * The items of one source on their way into the log, for sources that cannot refuse an item for a passing failure. What
 * the log refuses is appended again until the log takes it.
 *
 * - **Order.** What was refused is appended again once the log has settled all other items, in the order of `add`.
 *   Items that are added meanwhile wait behind it. So nothing is passed to the log before an item that it has refused.
 * - **Wait.** 200 ms after the first refusal, doubled to 2 s; from the start again when the log has taken an item.
 * - **Pressure.** While `isBlocked`, items wait, and are tried again every 100 ms.
 * - **Limit.** `isFull` at the items or the bytes: its source reads no more, does not add, or drops the oldest
 *   (`dropOldest`). An item that is added all the same is taken.
 * - **Stop.** `drain` waits for the log, with a deadline. After `stop` no item is appended again.
 *
 * An item is in flight (the log has it), refused, or waiting, until `done`.
 */
export class RetryQueue<Item extends RetryItem> {
  readonly #options: RetryQueueOptions<Item>;
  readonly #itemsMax: number;
  readonly #bytesMax: number;
  #order = 0;
  #size = 0;
  #bytes = 0;
  #inFlight = 0;
  /** In any order. */
  #refused: Item[] = [];
  /** Behind those that were refused, in their order. */
  #waiting: Item[] = [];
  /** Refusals since the log has taken an item. */
  #attempts = 0;
  #timer: Timer | undefined;
  #isStopped = false;
  #drained: (() => void) | undefined;

  constructor(options: RetryQueueOptions<Item>) {
    this.#options = options;
    const { itemsMax, bytesMax } = options.limits ?? {};
    this.#itemsMax = itemsMax ?? Number.POSITIVE_INFINITY;
    this.#bytesMax = bytesMax ?? Number.POSITIVE_INFINITY;
  }

  /** Items that the log has not taken. */
  get size(): number {
    return this.#size;
  }

  /** Of these items. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Items that were passed to the log, and are neither `done` nor `refused`. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether an item waits for its next attempt. */
  get isRetrying(): boolean {
    return this.#refused.length > 0;
  }

  /** Whether a limit is reached. */
  get isFull(): boolean {
    return this.#size >= this.#itemsMax || this.#bytes >= this.#bytesMax;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Takes an item, also at the limit, and after `stop`: then it is passed to the log once. */
  add(item: Item): void {
    item.order = this.#order++;
    this.#size++;
    this.#bytes += item.bytes;
    const isFirst = this.#refused.length === 0 && this.#waiting.length === 0;
    if (this.#isStopped || (isFirst && !this.#isBlocked())) this.#append(item, false);
    else {
      this.#waiting.push(item);
      this.#schedule();
    }
  }

  /** The log has an item, or never will: it leaves the queue. */
  done(item: Item): void {
    this.#inFlight--;
    this.#attempts = 0;
    this.#remove(item);
    this.#schedule();
  }

  /** The log has refused an item for now. After `stop` it leaves the queue. */
  refused(item: Item): void {
    this.#inFlight--;
    if (this.#isStopped) {
      this.#remove(item);
      return;
    }
    this.#refused.push(item);
    this.#schedule();
  }

  /** Removes and returns the oldest item that is not in flight; undefined if all are. */
  dropOldest(): Item | undefined {
    if (this.#refused.length > 1) this.#refused.sort(byOrder);
    const item = this.#refused.shift() ?? this.#waiting.shift();
    if (item !== undefined) this.#remove(item);
    return item;
  }

  /** Resolves when the log has all items, at the latest after `deadlineMs`. */
  async drain(deadlineMs: number): Promise<void> {
    if (this.#size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    const timer = this.#options.clock.after(deadlineMs, resolve);
    await promise;
    timer.cancel();
  }

  /** Drops the items that are not in flight, and returns their number. Idempotent. */
  stop(): number {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    const left = [...this.#refused.splice(0), ...this.#waiting.splice(0)];
    for (const item of left) this.#remove(item);
    return left.length;
  }

  #isBlocked(): boolean {
    return this.#options.isBlocked?.() ?? false;
  }

  #append(item: Item, isRetry: boolean): void {
    this.#inFlight++;
    this.#options.append(item, isRetry);
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isStopped) return;
    const isRefused = this.#refused.length > 0;
    // Refused items wait until the others are settled, so that nothing overtakes.
    if (isRefused ? this.#inFlight > 0 : this.#waiting.length === 0) return;
    const waitMs = isRefused ? this.#backoffMs() : blockedRetryMs;
    this.#timer = this.#options.clock.after(waitMs, () => {
      this.#timer = undefined;
      this.#appendAgain();
    });
  }

  #backoffMs(): number {
    const { random = noJitter } = this.#options;
    return backoffMs(this.#attempts++, () => 0.5 + random() / 2, logRetry);
  }

  #appendAgain(): void {
    if (this.#refused.length > 0 && this.#inFlight > 0) return;
    const refused = this.#refused.sort(byOrder);
    const waiting = this.#waiting;
    this.#refused = [];
    this.#waiting = [];
    let index = 0;
    for (; index < refused.length && !this.#isBlocked(); index++) this.#append(refused[index]!, true);
    const left = refused.slice(index);
    index = 0;
    if (left.length === 0)
      for (; index < waiting.length && !this.#isBlocked(); index++) this.#append(waiting[index]!, false);
    this.#waiting = left.concat(waiting.slice(index), this.#waiting);
    this.#schedule();
  }

  #remove(item: Item): void {
    this.#size--;
    this.#bytes -= item.bytes;
    if (this.#size > 0) return;
    this.#drained?.();
    this.#drained = undefined;
  }
}

function byOrder(a: RetryItem, b: RetryItem): number {
  return a.order - b.order;
}
