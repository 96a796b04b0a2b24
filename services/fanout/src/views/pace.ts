import type { Timer } from '@tailrace/platform/clock';
import { Conflation } from './conflation.ts';
import type { Publication } from './publication.ts';

/** The bytes that all paced views of a node hold together, and their limit. */
export interface PaceBudget {
  bytes: number;
  readonly bytesMax: number;
}

/**
 * Limits a view to a number of frames a second, and holds reports until the next frame is due. The first frame after a
 * pause is sent at once. Beyond `bytesMax`, or beyond the budget of the node, the frame is due at once, whatever the
 * rate: the limit on memory takes precedence.
 */
export class Pace {
  /** The size of one frame that does not fill a socket. */
  static readonly bytesMax = 1_048_576;

  readonly intervalMs: number;
  /** When the next frame is due, by the clock's `monotonic`. */
  dueMs = Number.NEGATIVE_INFINITY;
  /** Runs while reports wait for `dueMs`. */
  timer: Timer | undefined;
  readonly #held = new Conflation<Publication>();
  readonly #budget: PaceBudget;

  /** `maxRate`: frames a second. */
  constructor(maxRate: number, budget: PaceBudget) {
    this.intervalMs = 1_000 / maxRate;
    this.#budget = budget;
  }

  get isEmpty(): boolean {
    return this.#held.isEmpty;
  }

  /** Returns the partitions of the reports held. */
  partitions(): Set<number> {
    return this.#held.partitions();
  }

  /** Holds a report. Returns whether the frame became due by it. */
  hold(publication: Publication): boolean {
    const before = this.#held.bytes;
    this.#held.add(publication);
    this.#budget.bytes += this.#held.bytes - before;
    const isFull = this.#held.bytes > Pace.bytesMax || this.#budget.bytes > this.#budget.bytesMax;
    if (!isFull || this.dueMs === Number.NEGATIVE_INFINITY) return false;
    this.dueMs = Number.NEGATIVE_INFINITY;
    return true;
  }

  /** Removes and returns what is held. The next frame is due `intervalMs` after `nowMs`. */
  take(nowMs: number): ReturnType<Conflation<Publication>['take']> {
    this.stop();
    this.dueMs = nowMs + this.intervalMs;
    this.#budget.bytes -= this.#held.bytes;
    return this.#held.take('rate');
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** Drops what is held. */
  clear(): void {
    this.stop();
    this.#budget.bytes -= this.#held.bytes;
    this.#held.clear();
  }
}
