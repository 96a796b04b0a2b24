import { boundsOf, type EventLog, type PartitionBounds } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import type { Channels } from '../channels/channels.ts';
import type { KnownDevices } from '../channels/device.ts';
import type { RelaySubscriber } from '../relay/relay-subscriber.ts';
import type { Checkpoints, Restored } from './checkpoints.ts';
import type { IdLookback } from './id-lookback.ts';
import type { Partition } from './partition.ts';
import type { RecentIds } from './recent-ids.ts';

/**
 * Records that are read back if the state topic has nothing of the partition: in the first seconds of a topic, and
 * after it was emptied.
 */
const withoutStateRecordsMax = 20_000;

/** What a node reads before it takes over partitions. */
export interface Prepared {
  readonly bounds: readonly PartitionBounds[];
  /** Monotonic ms at which the bounds were requested. */
  readonly boundsMs: number;
  readonly restored: ReadonlyMap<number, Restored>;
  readonly starts: ReadonlyMap<number, Start>;
}

/** Where reading starts, and the message IDs before that. */
interface Start {
  readonly from: number;
  readonly ids: RecentIds;
}

export interface TakeOverOptions {
  readonly eventLog: Pick<EventLog, 'bounds'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly topic: string;
  readonly checkpoints: Pick<Checkpoints, 'restore' | 'start'>;
  readonly channels: Channels;
  readonly known: Pick<KnownDevices, 'fork'>;
  readonly ids: Pick<IdLookback, 'before'>;
  /** Newest records of a partition that are read back. */
  readonly recoveryRecordsMax: number;
}

/** Takes over partitions: restores last values from the state topic, and determines the start position in the log. */
export class TakeOver {
  readonly #options: TakeOverOptions;

  constructor(options: TakeOverOptions) {
    this.#options = options;
  }

  /**
   * Reads what a takeover needs, and changes nothing. Rejects if the log cannot be read. A partition that cannot be
   * read delays the others of the call.
   */
  async prepare(partitions: readonly number[]): Promise<Prepared> {
    const { eventLog, clock, topic, checkpoints, ids, known } = this.#options;
    if (partitions.length === 0)
      return { bounds: [], boundsMs: clock.monotonic(), restored: new Map(), starts: new Map() };
    // Limits the restored devices to those that may be known, however many the state topic has.
    const devices = known.fork();
    const restored = new Map(
      await Promise.all(
        partitions.map(async (number) => [number, await checkpoints.restore(number, devices)] as const),
      ),
    );
    // After the state, so that no last value is later than the end: another owner may still be writing.
    const boundsMs = clock.monotonic();
    const bounds = await eventLog.bounds(topic, partitions);
    const starts = new Map<number, Start>();
    // A channel that was opened meanwhile may be further back than the lookback.
    for (let missing = partitions; missing.length > 0; ) {
      const found = missing.map(async (number) => {
        const { first, next } = boundsOf(bounds, number);
        const from = this.#from(number, { first, next }, restored.get(number)!);
        starts.set(number, { from, ids: await ids.before(number, from, first) });
      });
      await Promise.all(found);
      missing = partitions.filter(
        (number) => this.#from(number, boundsOf(bounds, number), restored.get(number)!) < starts.get(number)!.from,
      );
    }
    return { bounds, boundsMs, restored, starts };
  }

  /**
   * Returns the start position: the newest records for the window, everything that the state does not have, and what
   * the channels of this node have not received.
   */
  #from(number: number, { first, next }: PartitionBounds, state: Restored): number {
    const { channels, recoveryRecordsMax } = this.#options;
    let from = Math.min(next - recoveryRecordsMax, state.from ?? next - withoutStateRecordsMax);
    for (const channel of channels.in(number)) {
      const reached = channel.slot(number).next;
      if (reached >= 0) from = Math.min(from, reached);
    }
    return Math.max(first, from);
  }

  /** Changes a partition to `recovering`. Returns the start position. */
  start(
    partition: Partition,
    relay: Pick<RelaySubscriber, 'stop'>,
    generation: number,
    { bounds, boundsMs, restored, starts }: Prepared,
  ): number {
    const { number } = partition;
    const { channels, checkpoints } = this.#options;
    relay.stop();
    const { first, next } = boundsOf(bounds, number);
    const state = restored.get(number)!;
    for (const [path, device] of state.devices) {
      const { logReports, reportInterval, lastSeq } = device.decoded();
      partition.restore(path, logReports, reportInterval, lastSeq);
    }
    const start = starts.get(number)!;
    let { from } = start;
    for (const channel of channels.in(number)) {
      const reached = channel.slot(number).next;
      if (reached < 0) continue;
      partition.notifyMissing(channel, reached, first, 'retention');
      // No channel is further back than prepared; otherwise it would miss the reports in between.
      from = Math.max(first, Math.min(from, reached));
    }
    checkpoints.start(number, state.from ?? from);
    partition.gain(generation, from, next, start.ids, boundsMs);
    return from;
  }
}
