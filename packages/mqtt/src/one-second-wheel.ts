import { type Clock, secondOf, type Timer } from '@tailrace/platform/clock';

/** What a wheel checks. */
export interface Timed {
  /** The second in which the wheel checks it, of the monotonic clock; 0 if none. Written by the wheel alone. */
  wheelSecond: number;
  /** Called in that second. Returns when it is due next, in ms of the monotonic clock; 0 if it waits for nothing. */
  due(nowMs: number): number;
}

const slots = 64;
const horizonSeconds = slots - 2;

/**
 * Due times of many connections, by the second: a connection has no timer of its own.
 *
 * A timing wheel (Varghese and Lauck, 1987, scheme 4). Each item is in the slot of the second in which it is due, or in
 * the furthest slot, and then checked earlier than it is due. An item that becomes due later is not moved: its check
 * returns the later time. One that becomes due earlier is scheduled again, and its old slot skips it.
 */
export class SecondWheel {
  readonly #clock: Pick<Clock, 'monotonic' | 'every'>;
  readonly #wheel: Timed[][] = Array.from({ length: slots }, () => []);
  #second: number;
  #timer: Timer | undefined;

  constructor(clock: Pick<Clock, 'monotonic' | 'every'>) {
    this.#clock = clock;
    this.#second = secondOf(clock.monotonic());
  }

  start(): void {
    this.#timer ??= this.#clock.every(1000, () => this.tick());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Schedules the next check, unless an earlier one is scheduled. `dueMs`: of the monotonic clock. */
  schedule(item: Timed, dueMs: number): void {
    // A time within a second is due at the end of it: never early.
    const due = Math.max(secondOf(dueMs) + 1, this.#second + 1);
    const second = Math.min(due, this.#second + horizonSeconds);
    if (item.wheelSecond > this.#second && item.wheelSecond <= second) return;
    item.wheelSecond = second;
    this.#wheel[second % slots]!.push(item);
  }

  cancel(item: Timed): void {
    item.wheelSecond = 0;
  }

  /** Checks all seconds until now. */
  tick(): void {
    const nowMs = this.#clock.monotonic();
    const nowSecond = secondOf(nowMs);
    while (this.#second < nowSecond) {
      this.#second++;
      const index = this.#second % slots;
      const items = this.#wheel[index]!;
      if (items.length === 0) continue;
      this.#wheel[index] = [];
      for (const item of items) {
        // Another slot has it, or none.
        if (item.wheelSecond !== this.#second) continue;
        item.wheelSecond = 0;
        const dueMs = item.due(nowMs);
        if (dueMs > 0) this.schedule(item, dueMs);
      }
    }
  }
}
