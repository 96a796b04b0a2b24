import { Counter, delayBoundsSeconds, Histogram } from '@tailrace/platform/measures';
import { Positions, tokenFromPositions } from '@tailrace/protocol/position';
import type { Missing } from '@tailrace/protocol/server-message';
import { CatchUp } from '../catch-up/catch-up.ts';
import type { PartitionTable } from '../ownership/partition-table.ts';
import type { Views } from '../views/view.ts';
import type { Channel } from './channels.ts';
import { Snapshot } from './snapshot.ts';
import type { SubscribeRequest, Subscription, SubscriptionStart } from './subscription.ts';

export interface SubscribeRepliesOptions {
  readonly views: Pick<Views, 'flush'>;
  readonly table: Pick<PartitionTable, 'next' | 'partitions'>;
  readonly epoch: string;
}

/** The start of a subscription: its head, last values, and the catch-up from there. */
export interface SubscribeReply {
  readonly start: SubscriptionStart;
  readonly snapshot: Snapshot | undefined;
  /** At the position of the head. */
  readonly catchUp: CatchUp;
}

/** The three ways to start a subscription: with last values, after a position, and from a time. */
export class SubscribeReplies {
  readonly counts = new SubscribeReplyCounts();
  readonly #views: Pick<Views, 'flush'>;
  readonly #table: Pick<PartitionTable, 'next' | 'partitions'>;
  readonly #epoch: string;

  constructor({ views, table, epoch }: SubscribeRepliesOptions) {
    this.#views = views;
    this.#table = table;
    this.#epoch = epoch;
  }

  /**
   * In one turn of the event loop: pending reports are published to the present subscriptions, and the position of the
   * channel is fixed. The snapshot has the reports before it. Later ones follow as data, however long the snapshot
   * takes.
   */
  withLastValues({ channel, view, request }: Subscription): SubscribeReply {
    this.#views.flush(view);
    const here = this.here(channel);
    const isWanted = request.snapshot && view.options.align === undefined;
    const snapshot = isWanted ? this.#snapshot(channel, view, here) : undefined;
    return { start: this.#start(here, snapshot), snapshot, catchUp: new CatchUp(here, false) };
  }

  /**
   * The snapshot has last values in the missing ranges: they are older than what follows, so positions only increase.
   */
  afterPosition(
    subscription: Subscription,
    backlog: { position: Positions; missing: readonly Missing[] },
  ): SubscribeReply {
    return this.#withHistory(subscription, backlog, new CatchUp(backlog.position, false));
  }

  /** `position`: before the first report since that time. */
  fromTime(subscription: Subscription, position: Positions, missing: readonly Missing[]): SubscribeReply {
    return this.#withHistory(
      subscription,
      { position, missing },
      new CatchUp(position, true, subscription.request.speed),
    );
  }

  #withHistory(
    subscription: Subscription,
    { position, missing }: { position: Positions; missing: readonly Missing[] },
    catchUp: CatchUp,
  ): SubscribeReply {
    const snapshot = subscription.request.snapshot ? this.snapshot(subscription, missing) : undefined;
    const recovery = missing.length === 0 ? { recovered: true } : { recovered: false, missing };
    return { start: { ...this.#start(position, snapshot), ...recovery }, snapshot, catchUp };
  }

  /** Returns the position up to which a live channel is complete. */
  here(channel: Channel): Positions {
    const positions = new Positions(this.#epoch);
    for (const partition of channel.partitions) positions.advance(partition, this.#table.next(channel, partition) - 1);
    return positions;
  }

  /**
   * Returns the last values in these ranges, as of the position of the channel. Last values from another owner that is
   * further ahead are not in it; they follow as data.
   */
  snapshot({ channel, view }: Pick<Subscription, 'channel' | 'view'>, within: readonly Missing[]): Snapshot {
    return this.#snapshot(channel, view, this.here(channel), within);
  }

  #snapshot(channel: Channel, view: Subscription['view'], here: Positions, within?: readonly Missing[]): Snapshot {
    const { partitions } = this.#table;
    return new Snapshot(channel, view, { partitions, here, within });
  }

  #start(position: Positions, snapshot: Snapshot | undefined): SubscriptionStart {
    return { epoch: this.#epoch, position: tokenFromPositions(position), devices: snapshot?.devices ?? 0 };
  }
}

/** With last values; after a position, complete or with missing ranges; from a time, the same. */
export const startKinds = ['snapshot', 'resume', 'partial_resume', 'replay', 'partial_replay'] as const;
type StartKind = (typeof startKinds)[number];

/** How subscriptions started, and the time until then. The metrics replace these counters with their own. */
export class SubscribeReplyCounts {
  starts = Object.fromEntries(startKinds.map((kind) => [kind, new Counter()])) as Record<StartKind, Counter>;
  seconds = new Histogram(delayBoundsSeconds);

  /** Counts a subscription whose head was sent `ms` after the request. */
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
