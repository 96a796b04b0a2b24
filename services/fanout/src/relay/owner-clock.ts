/**
 * How long a smallest difference counts: for one to two of these. Clocks that drift by 100 ppm part by 2 ms in that
 * time.
 */
const spanMs = 10_000;

/**
 * Converts times of an owner's monotonic clock to this node's.
 *
 * The two clocks have nothing in common but their rate. A frame that was sent at `s` and arrives at `r` says that
 * their offset is at most `r - s`: the rest is the time it took. So the smallest difference of late is the best
 * bound, and a frame that lay in a socket, or in a process that stood still, does not make what it says any younger:
 * the minimum filter by which LEDBAT finds the base delay (RFC 6817, section 3.4.2).
 *
 * Worked example: frames sent at 1,000 and 1,500 arrive at 51,003 and 51,502; then one sent at 2,000 arrives at
 * 60,000. The offset is 50,002, so that the last one says how things were at 52,002.
 */
export class OwnerClock {
  #chain = -1;
  #spanStartMs = 0;
  #smallest = Number.POSITIVE_INFINITY;
  #smallestBefore = Number.POSITIVE_INFINITY;

  /**
   * A frame was sent at `sentMs` by the owner's clock, and came at `receivedMs` by this node's. A new chain may be of
   * another process: its clock has another start.
   */
  note(chain: number, sentMs: number, receivedMs: number): void {
    if (chain !== this.#chain) {
      this.#chain = chain;
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

  /** Not before the first `note`. */
  here(ownerMs: number): number {
    return ownerMs + Math.min(this.#smallest, this.#smallestBefore);
  }
}
