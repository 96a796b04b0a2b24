import type { Timer } from '@tailrace/platform/clock';
import { Conflation } from './conflation.ts';
import type { Publication } from './publication.ts';

/** Bytes that all paced views of a node hold together, and how many they may. */
export interface PaceBudget {
  bytes: number;
  readonly bytesMax: number;
}

/**
 * A view that sends at most so many frames a second, and what it holds until the next one. The first after a pause goes at once.
 * Beyond `bytesMax`, or where the views of the node hold more than they may together, it is due at once, whatever its rate: a limit on memory comes first.
 */
export class Pace {
  /** One frame, and not one that fills a socket. */
  static readonly bytesMax = 1_048_576;

  readonly intervalMs: number;
  /** Of the clock's `monotonic`: not before this. */
  dueMs = Number.NEGATIVE_INFINITY;
  /** Runs while something waits for its time. */
  timer: Timer | undefined;
  readonly #held = new Conflation<Publication>();
  readonly #budget: PaceBudget;

  /** `maxRate`: frames a second. */
  constructor(maxRate: number, budget: PaceBudget) {
    this.intervalMs = 1_000 / maxRate;
    this.#budget = budget;
  }

  get empty(): boolean {
    return this.#held.empty;
  }

  /** Whether it has become due by that. */
  hold(shown: Publication): boolean {
    const before = this.#held.bytes;
    this.#held.add(shown);
    this.#budget.bytes += this.#held.bytes - before;
    const isFull = this.#held.bytes > Pace.bytesMax || this.#budget.bytes > this.#budget.bytesMax;
    if (!isFull || this.dueMs === Number.NEGATIVE_INFINITY) return false;
    this.dueMs = Number.NEGATIVE_INFINITY;
    return true;
  }

  /** What is held, and nothing of it again. The next frame is due `intervalMs` after `nowMs`. */
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

  /** Nobody waits for it any more. */
  clear(): void {
    this.stop();
    this.#budget.bytes -= this.#held.bytes;
    this.#held.clear();
  }
}
