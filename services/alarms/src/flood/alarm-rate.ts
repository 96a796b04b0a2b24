import { floodLimits } from '@tailrace/rules/flood-limits';

/** More times are not kept: a rate above it is a flood in any case. */
const raisedMax = 1_000;

/** How many alarms an area got in the last 10 minutes. Times are by one clock, and may come in any order. */
export class AlarmRate {
  /** Ascending. */
  readonly #raised: number[] = [];

  /** Alarms in the window that has the time of the last `advance` as its end, and those raised since. */
  get count(): number {
    return this.#raised.length;
  }

  /** An alarm was raised, epoch ms. */
  raise(atMs: number): void {
    let index = this.#raised.length;
    while (index > 0 && this.#raised[index - 1]! > atMs) index--;
    this.#raised.splice(index, 0, atMs);
    if (this.#raised.length > raisedMax) this.#raised.shift();
  }

  /** Forgets alarms that are 10 minutes old. */
  advance(nowMs: number): void {
    const fromMs = nowMs - floodLimits.windowMs;
    const kept = this.#raised.findIndex((atMs) => atMs > fromMs);
    this.#raised.splice(0, kept < 0 ? this.#raised.length : kept);
  }
}
