import { Counter, delayBoundsSeconds, Histogram } from '@tailrace/platform/measures';
import type { SubscribeRequest, SubscriptionStart } from './subscription.ts';

/** With last values; after a position, complete or with missing ranges; from a time, the same. */
export const startKinds = ['snapshot', 'resume', 'partial_resume', 'replay', 'partial_replay'] as const;
type StartKind = (typeof startKinds)[number];

/** How subscriptions started, and the time until then. The metrics replace these counters with their own. */
export class SubscribeReplyCounts {
  starts = Object.fromEntries(startKinds.map((kind) => [kind, new Counter()])) as Record<StartKind, Counter>;
  seconds = new Histogram(delayBoundsSeconds);

  /** Counts a subscription whose client was sent `subscribed`, `ms` after its request. */
  started({ after }: Pick<SubscribeRequest, 'after'>, { recovered }: SubscriptionStart, ms: number): void {
    this.seconds.observe(ms / 1_000);
    this.starts[kindOf(after !== undefined, recovered)].add();
  }
}

function kindOf(isResume: boolean, recovered: boolean | undefined): StartKind {
  if (recovered === undefined) return 'snapshot';
  if (isResume) return recovered ? 'resume' : 'partial_resume';
  return recovered ? 'replay' : 'partial_replay';
}
