import type { ClientClock } from './clock.ts';

/** Between two moves at least, ms; up to half as much again by chance, so that clients told together do not move together. */
const moveGapMs = 10_000;
/** An address that was left, or where a move failed, is not gone to again for this long, ms: two nodes that each send to the other are not believed. */
const avoidMs = 60_000;
/** Addresses remembered for that. With more than this many the stream stays where it is. */
const avoidedMax = 64;

/** What the policy looks at of a subscription. */
export interface Placed {
  readonly home: string | undefined;
  readonly isSettled: boolean;
  readonly refusedForGood: boolean;
}

/** When and where to a stream goes that was told where its channels live. To stay is never wrong: any node serves any channel. */
export class MovePolicy {
  readonly #clock: ClientClock;
  readonly #random: () => number;
  readonly #avoided = new Map<string, number>();
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(clock: ClientClock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The one address where all subscriptions live, if there is one and it is another than this one; each of them can go there without a gap. */
  target(subscriptions: Iterable<Placed>, url: string | undefined): string | undefined {
    let home: string | undefined;
    for (const subscription of subscriptions) {
      if (subscription.refusedForGood) continue;
      if (!subscription.isSettled || subscription.home === undefined) return undefined;
      if (home !== undefined && subscription.home !== home) return undefined;
      home = subscription.home;
    }
    return home === undefined || home === url || this.#isAvoided(home, url) ? undefined : home;
  }

  /** How long to wait before the next move, ms. */
  get waitMs(): number {
    return Math.max(0, this.#notBeforeMs - this.#clock.monotonic());
  }

  /** A move begins. */
  begin(): void {
    this.#notBeforeMs = this.#clock.monotonic() + moveGapMs * (1 + this.#random() / 2);
  }

  /** The address was left, or could not be moved to. */
  avoid(url: string): void {
    this.#avoided.set(url, this.#clock.monotonic() + avoidMs);
  }

  #isAvoided(home: string, url: string | undefined): boolean {
    const nowMs = this.#clock.monotonic();
    for (const [avoided, untilMs] of this.#avoided) if (untilMs <= nowMs) this.#avoided.delete(avoided);
    // Nobody who was promised an encrypted connection is sent on to one that is not.
    const isDowngrade = url?.startsWith('wss:') === true && !home.startsWith('wss:');
    return isDowngrade || this.#avoided.has(home) || this.#avoided.size >= avoidedMax;
  }
}
