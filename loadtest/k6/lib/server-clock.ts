/** Round trips kept. The fastest one is the most exact. */
const tripsMax = 8;

/**
 * The servers' clock, estimated as in NTP (RFC 5905 section 8): the offset at half of a round trip, the fastest of the
 * last eight. The error is half of that round trip at most.
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

  /** Adds a round trip: when it was sent and answered by k6's clock, and the server's time in the answer. */
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
