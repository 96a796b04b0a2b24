/** Round trips remembered. The fastest of them says most: the less time was on the way, the less is not known. */
const tripsMax = 8;

/**
 * The servers' clock, as known here: the offset that halves a round trip, as NTP does (RFC 5905 section 8), of the fastest of the last eight. Off by half
 * that round trip at most.
 */
export class ServerClock {
  readonly #now: () => number;
  #trips: { readonly offsetMs: number; readonly roundTripMs: number }[] = [];
  #offsetMs: number;

  constructor(now: () => number, offsetMs = 0) {
    this.#now = now;
    this.#offsetMs = offsetMs;
  }

  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** Sent at one moment and answered at another by our clock; the server said its own. */
  add(sentMs: number, answeredMs: number, serverMs: number): void {
    const roundTripMs = answeredMs - sentMs;
    this.#trips = [...this.#trips, { offsetMs: serverMs - sentMs - roundTripMs / 2, roundTripMs }].slice(-tripsMax);
    const best = this.#trips.reduce((least, trip) => (trip.roundTripMs <= least.roundTripMs ? trip : least));
    this.#offsetMs = best.offsetMs;
  }

  /** Epoch ms by the servers' clock. */
  now(): number {
    return this.#now() + this.#offsetMs;
  }
}
