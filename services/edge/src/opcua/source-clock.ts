/** The window of the offset, ms: a clock that is set takes effect after at most two of them. */
const windowMs = 600_000;

/**
 * Estimates the time of a source's own clock. A value that is read as proof of life has an old source time, or none:
 * its reading needs one that is after the values before, and before those that come.
 *
 * The offset is the largest of (source time - time of receipt) in the last window, of which the delay on the way is
 * least. Until a value has changed it is that of the server's clock. One clock for each server is assumed.
 */
export class SourceClock {
  #startedMs = 0;
  #largest: number | undefined;
  #before: number | undefined;
  #serverOffset: number | undefined;

  /** Difference to the clock of the gateway, ms; undefined before the first value. */
  get offsetMs(): number | undefined {
    if (this.#largest === undefined) return this.#before ?? this.#serverOffset;
    return this.#before === undefined ? this.#largest : Math.max(this.#largest, this.#before);
  }

  /** `sourceMs` was received at `nowMs`, and is the time of a change. */
  observed(sourceMs: number, nowMs: number): void {
    if (this.#largest !== undefined && nowMs - this.#startedMs >= windowMs) {
      this.#before = this.#largest;
      this.#largest = undefined;
    }
    const offset = sourceMs - nowMs;
    if (this.#largest === undefined) {
      this.#startedMs = nowMs;
      this.#largest = offset;
    } else if (offset > this.#largest) this.#largest = offset;
  }

  /** The server's own time `serverMs` was received at `nowMs`. */
  serverTime(serverMs: number, nowMs: number): void {
    this.#serverOffset = serverMs - nowMs;
  }

  timeAt(nowMs: number): number {
    return nowMs + (this.offsetMs ?? 0);
  }
}
