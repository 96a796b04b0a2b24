import type { ClientClock } from './clock.ts';

/** Minimum interval between two moves, ms; with up to 50 % jitter, so that clients do not all move at the same time. */
const moveGapMs = 10_000;
/**
 * How long a URL is avoided after the stream left it or failed to move there, ms. Two nodes that redirect to each other
 * cause no loop.
 */
const avoidMs = 60_000;
/** Most avoided URLs. At this many the stream does not move. */
const avoidedMax = 64;

/** The state of a subscription that the policy needs. */
export interface Placed {
  /** The URL from `moved`. */
  readonly home: string | undefined;
  readonly isSettled: boolean;
  readonly isRefusedForGood: boolean;
}

/** Decides when and where a stream moves after `moved`. Staying is always correct: every node serves every channel. */
export class MovePolicy {
  readonly #clock: ClientClock;
  readonly #random: () => number;
  readonly #avoided = new Map<string, number>();
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(clock: ClientClock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Returns the common home of all subscriptions, where it differs from `url` and each can move there without a gap;
   * undefined otherwise.
   */
  target(subscriptions: Iterable<Placed>, url: string | undefined): string | undefined {
    let home: string | undefined;
    for (const subscription of subscriptions) {
      if (subscription.isRefusedForGood) continue;
      if (!subscription.isSettled || subscription.home === undefined) return undefined;
      if (home !== undefined && subscription.home !== home) return undefined;
      home = subscription.home;
    }
    return home === undefined || home === url || this.#isAvoided(home, url) ? undefined : home;
  }

  /** Time until the next move is allowed, ms. */
  get waitMs(): number {
    return Math.max(0, this.#notBeforeMs - this.#clock.monotonic());
  }

  /** Records the start of a move. */
  start(): void {
    this.#notBeforeMs = this.#clock.monotonic() + moveGapMs * (1 + this.#random() / 2);
  }

  /** Records that the stream left the URL, or failed to move there. */
  avoid(url: string): void {
    this.#avoided.set(url, this.#clock.monotonic() + avoidMs);
  }

  #isAvoided(home: string, url: string | undefined): boolean {
    const nowMs = this.#clock.monotonic();
    for (const [avoided, untilMs] of this.#avoided) if (untilMs <= nowMs) this.#avoided.delete(avoided);
    // An encrypted connection never moves to an unencrypted one.
    const isDowngrade = url?.startsWith('wss:') === true && !home.startsWith('wss:');
    return isDowngrade || this.#avoided.has(home) || this.#avoided.size >= avoidedMax;
  }
}
