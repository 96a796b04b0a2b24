import { Counter, delayBoundsSeconds, Histogram } from '@tailrace/platform/measures';
import type { SubscribeRequest, SubscriptionStart } from './subscription.ts';

/** With last values; after a position, all of it or with something missing; from a time, the same. */
export const startKinds = ['snapshot', 'resume', 'partial_resume', 'replay', 'partial_replay'] as const;
type StartKind = (typeof startKinds)[number];

/** How subscriptions began, and how long that took. A metric may put its own in the place of these. */
export class SubscribeReplyCounts {
  starts = Object.fromEntries(startKinds.map((kind) => [kind, new Counter()])) as Record<StartKind, Counter>;
  seconds = new Histogram(delayBoundsSeconds);

  /** The client was told that its subscription has begun, `ms` after it asked. */
  began({ after }: Pick<SubscribeRequest, 'after'>, { recovered }: SubscriptionStart, ms: number): void {
    this.seconds.observe(ms / 1_000);
    this.starts[kindOf(after !== undefined, recovered)].add();
  }
}

function kindOf(cameBack: boolean, recovered: boolean | undefined): StartKind {
  if (recovered === undefined) return 'snapshot';
  if (cameBack) return recovered ? 'resume' : 'partial_resume';
  return recovered ? 'replay' : 'partial_replay';
}
