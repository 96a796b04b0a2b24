import type { Arrival } from '../channels/arrival.ts';

/** What comes on a channel while a subscription catches up, so that it can join without a seam. Bounded: one that has overflowed is of no use any more. */
export class Tap {
  /** Oldest first, in each partition. */
  arrivals: Arrival[] = [];
  overflowed = false;
  #bytes = 0;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Of the reports as they lie in the log. */
  get bytes(): number {
    return this.#bytes;
  }

  push(arrival: Arrival): void {
    if (this.overflowed) return;
    this.#bytes += arrival.bytes.length;
    if (this.#bytes <= this.#bytesMax) this.arrivals.push(arrival);
    else this.overflow();
  }

  /** It does not have all that comes. */
  overflow(): void {
    this.overflowed = true;
    this.arrivals = [];
  }

  /** What has come, and nothing of it again. */
  take(): Arrival[] {
    const arrivals = this.arrivals;
    this.arrivals = [];
    this.#bytes = 0;
    return arrivals;
  }
}
