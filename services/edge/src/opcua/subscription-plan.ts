import type { ServerProfile } from './server-profile.ts';

/** What the plan needs of a tag. */
export interface PlannedTag {
  readonly sampleMs: number;
  /** Undefined: by the intervals. */
  readonly queue?: number | undefined;
}

export interface SubscriptionPlan {
  readonly publishMs: number;
  /** Positions of the tags. */
  readonly tags: readonly number[];
}

export interface Plan {
  readonly subscriptions: readonly SubscriptionPlan[];
  /** Positions of tags for which the profile has no place. */
  readonly left: readonly number[];
}

export const queueMax = 1_000;

/**
 * Returns which subscription has which tags: as few as the profile allows, in the order of the sampling intervals, so
 * that slow tags are not with fast ones. One place of each subscription is for the server's time.
 */
export function subscriptionPlan(tags: readonly PlannedTag[], publishMs: number, profile: ServerProfile): Plan {
  const size = profile.itemsPerSubscription - 1;
  const order = tags.map((_, index) => index).sort((a, b) => tags[a]!.sampleMs - tags[b]!.sampleMs || a - b);
  const subscriptions: SubscriptionPlan[] = [];
  for (let at = 0; at < order.length && subscriptions.length < profile.subscriptions; at += size) {
    subscriptions.push({ publishMs, tags: order.slice(at, at + size) });
  }
  return { subscriptions, left: order.slice(subscriptions.length * size) };
}

/** Returns the sampling interval that is requested. */
export function sampleMsOf(tag: PlannedTag, profile: ServerProfile): number {
  return Math.max(tag.sampleMs, profile.sampleMsMin);
}

/**
 * Returns how many values the server keeps of an item between two publishes. A queue of 1 loses what lies between, so
 * it has two intervals and one more.
 */
export function queueOf(tag: PlannedTag, publishMs: number, profile: ServerProfile): number {
  if (tag.queue !== undefined) return tag.queue;
  return Math.min(queueMax, Math.ceil((2 * publishMs) / sampleMsOf(tag, profile)) + 1);
}

/** Returns how many publish intervals may pass without a message: about 5 s. */
export function keepAliveCountOf(publishMs: number): number {
  return Math.max(3, Math.ceil(5_000 / publishMs));
}

/** Returns after how many publish intervals without a request the server closes the subscription: at least 5 min. */
export function lifetimeCountOf(publishMs: number): number {
  return Math.max(3 * keepAliveCountOf(publishMs), Math.ceil(300_000 / publishMs));
}
