import type { tailrace } from '@tailrace/protocol/generated';

type Broadcast = tailrace.v1.Broadcast;

/**
 * What this node has heard of one other. Its broadcasts are delivered once and in order: one that does not follow the last is held until what
 * is between them came, at most `heldMax` of them; what does not fit is asked for, too.
 *
 * - An era that is not the known one is not believed until the origin has answered: it may be a straggler of the one before.
 * - An answer is the origin's own word: its era is the era, and what it leaves out does not come any more.
 */
export class BroadcastOrigin {
  /** Empty: it has not answered yet. */
  era = '';
  delivered = 0;
  /** Monotonic ms. */
  heardAt = 0;
  asking = false;
  /** Since when it holds other things than this node; monotonic ms. */
  differsSince: number | undefined;
  comparedAt = Number.NEGATIVE_INFINITY;
  askedAt = Number.NEGATIVE_INFINITY;
  #held: Broadcast[] = [];
  readonly #heldMax: number;
  readonly #deliver: (broadcast: Broadcast) => void;

  constructor(heldMax: number, deliver: (broadcast: Broadcast) => void) {
    this.#heldMax = heldMax;
    this.#deliver = deliver;
  }

  get held(): number {
    return this.#held.length;
  }

  /** Whether something is missing after it. */
  take(broadcast: Broadcast): boolean {
    if (broadcast.era !== this.era) {
      this.#hold(broadcast);
      return true;
    }
    if (broadcast.seq <= this.delivered) return false;
    if (broadcast.seq > this.delivered + 1) {
      this.#hold(broadcast);
      return true;
    }
    this.#next(broadcast);
    this.#release();
    return false;
  }

  /** Whether the origin has said more than came, or begun anew. */
  isBehind(era: string, last: number): boolean {
    return era !== this.era || last > this.delivered;
  }

  /** All parts of an answer. */
  answered(parts: readonly Broadcast[]): void {
    for (const part of parts) {
      if (part.era !== this.era) {
        this.era = part.era;
        this.delivered = 0;
      }
      if (part.seq === 0) this.#deliver(part);
      else if (part.seq > this.delivered) this.#next(part);
    }
    this.#release();
  }

  #next(broadcast: Broadcast): void {
    this.delivered = broadcast.seq;
    this.#deliver(broadcast);
  }

  #hold(broadcast: Broadcast): void {
    if (this.#held.length < this.#heldMax) this.#held.push(broadcast);
  }

  /** What follows now, of those that were held; what is over is dropped. */
  #release(): void {
    this.#held = this.#held.filter(({ era, seq }) => era === this.era && seq > this.delivered);
    this.#held.sort((a, b) => a.seq - b.seq);
    for (const broadcast of this.#held) {
      if (broadcast.seq === this.delivered + 1) this.#next(broadcast);
    }
    this.#held = this.#held.filter(({ seq }) => seq > this.delivered);
  }
}
