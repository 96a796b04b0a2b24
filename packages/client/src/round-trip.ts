/** Number of samples. Older ones have an older route and clock. */
const samplesMax = 8;

interface Sample {
  readonly roundTripMs: number;
  readonly offsetMs: number;
}

/**
 * Estimates round trip and the server's clock from pings and pongs, as NTP does (RFC 5905, section 8). The server's
 * time counts for the middle of the round trip. Of the last samples the one with the shortest round trip is used,
 * because it was queued least.
 */
export class RoundTrip {
  #samples: Sample[] = [];
  #isOutdated = false;

  /** Adds a pong. `sentMs` and `receivedMs`: monotonic; `wallMs`: wall clock at receipt; `serverMs`: server's clock. */
  add(sentMs: number, receivedMs: number, wallMs: number, serverMs: number): void {
    const roundTripMs = Math.max(0, receivedMs - sentMs);
    if (this.#isOutdated) this.#samples = [];
    this.#isOutdated = false;
    if (this.#samples.push({ roundTripMs, offsetMs: serverMs - (wallMs - roundTripMs / 2) }) > samplesMax)
      this.#samples.shift();
  }

  /** Starts a new connection: its first pong replaces all samples, which remain in use until then. */
  restart(): void {
    this.#isOutdated = true;
  }

  /** Round trip of the last pong on this connection, ms; undefined before the first. */
  get lastMs(): number | undefined {
    return this.#isOutdated ? undefined : this.#samples.at(-1)?.roundTripMs;
  }

  /** Offset of the server's wall clock from this one, ms; 0 before the first pong. */
  get offsetMs(): number {
    let best: Sample | undefined;
    for (const sample of this.#samples) if (best === undefined || sample.roundTripMs <= best.roundTripMs) best = sample;
    return best?.offsetMs ?? 0;
  }
}
