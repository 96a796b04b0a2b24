/** The best of the last so many answers counts; older ones know an older route and an older clock. */
const samplesMax = 8;

interface Sample {
  readonly roundTripMs: number;
  readonly offsetMs: number;
}

/**
 * Round trip and the server's clock, from pings and pongs as NTP does it (RFC 5905, section 8): the server's time is taken to be that of the
 * middle of the round trip, and of the last samples the one with the shortest round trip is believed, because it was queued least.
 */
export class RoundTrip {
  #samples: Sample[] = [];
  #outdated = false;

  /** A pong: when its ping was sent and when it came, ms of a clock that never goes back; the wall clock then; the server's. */
  add(sentMs: number, receivedMs: number, wallMs: number, serverMs: number): void {
    const roundTripMs = Math.max(0, receivedMs - sentMs);
    if (this.#outdated) this.#samples = [];
    this.#outdated = false;
    if (this.#samples.push({ roundTripMs, offsetMs: serverMs - (wallMs - roundTripMs / 2) }) > samplesMax)
      this.#samples.shift();
  }

  /** Another connection, perhaps another server: its first answer takes the place of all before, which serve until then. */
  restart(): void {
    this.#outdated = true;
  }

  /** Of the last answer on this connection, ms; nothing before the first. */
  get lastMs(): number | undefined {
    return this.#outdated ? undefined : this.#samples.at(-1)?.roundTripMs;
  }

  /** How far the server's wall clock is ahead of this one, ms; 0 while nothing is known. */
  get offsetMs(): number {
    let best: Sample | undefined;
    for (const sample of this.#samples) if (best === undefined || sample.roundTripMs <= best.roundTripMs) best = sample;
    return best?.offsetMs ?? 0;
  }
}
