/** A minimum is kept for one to two of these. Clocks that drift by 100 ppm differ by 2 ms after that time. */
const spanMs = 10_000;

/**
 * Converts times of an owner's monotonic clock to this node's.
 *
 * The two clocks have only their rate in common. A frame sent at `s` and received at `r` bounds their offset to at most
 * `r - s`; the rest is delay. So the smallest recent difference is the best bound, and a frame that was delayed in a
 * socket, or in a paused process, keeps its age. LEDBAT finds the base delay by the same minimum filter (RFC 6817,
 * section 3.4.2).
 *
 * Worked example: frames sent at 1,000 and 1,500 are received at 51,003 and 51,502; then one sent at 2,000 is received
 * at 60,000. The offset is 50,002, so the last frame has the state of 52,002.
 */
export class OwnerClock {
  #streamEpoch = -1;
  #spanStartMs = 0;
  #smallest = Number.POSITIVE_INFINITY;
  #smallestBefore = Number.POSITIVE_INFINITY;

  /**
   * Takes a frame sent at `sentMs` by the owner's clock, and received at `receivedMs` by this node's. A new stream
   * epoch may be of another process, whose clock has another start.
   */
  observe(streamEpoch: number, sentMs: number, receivedMs: number): void {
    if (streamEpoch !== this.#streamEpoch) {
      this.#streamEpoch = streamEpoch;
      this.#spanStartMs = receivedMs;
      this.#smallest = Number.POSITIVE_INFINITY;
      this.#smallestBefore = Number.POSITIVE_INFINITY;
    } else if (receivedMs - this.#spanStartMs >= spanMs) {
      this.#spanStartMs = receivedMs;
      this.#smallestBefore = this.#smallest;
      this.#smallest = Number.POSITIVE_INFINITY;
    }
    const difference = receivedMs - sentMs;
    if (difference < this.#smallest) this.#smallest = difference;
  }

  /** Returns a time of the owner's clock by this node's. Not before the first `observe`. */
  localMs(ownerMs: number): number {
    return ownerMs + Math.min(this.#smallest, this.#smallestBefore);
  }
}
