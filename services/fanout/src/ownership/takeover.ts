import type { EventLog, PartitionBounds } from '@tailrace/eventlog/eventlog';
import { TailraceError } from '@tailrace/protocol/error';
import type { Channels } from '../channels/channels.ts';
import type { KnownDevices } from '../channels/known-devices.ts';
import type { Mirror } from '../relay/mirror.ts';
import type { Checkpoints, Restored } from './checkpoints.ts';
import type { Partition } from './partition.ts';
import { repeatRecordsMax } from './recentids.ts';

/** What has to be known before a node may take partitions over. */
export interface Prepared {
  readonly bounds: readonly PartitionBounds[];
  readonly restored: ReadonlyMap<number, Restored>;
}

export interface TakeOverParts {
  readonly log: Pick<EventLog, 'bounds'>;
  readonly topic: string;
  readonly checkpoints: Pick<Checkpoints, 'restore' | 'begin'>;
  readonly channels: Channels;
  readonly known: Pick<KnownDevices, 'fork'>;
  /** Newest records of a partition that are read back. */
  readonly recoveryRecordsMax: number;
}

/** How a partition of another node, or of nobody, becomes this node's: last values from the state topic, and where in the log to begin. */
export class TakeOver {
  readonly #parts: TakeOverParts;

  constructor(parts: TakeOverParts) {
    this.#parts = parts;
  }

  /** Rejects where the log cannot be read. Nothing has changed then. One that cannot be read holds up the others: prepare those by themselves. */
  async prepare(partitions: readonly number[]): Promise<Prepared> {
    if (partitions.length === 0) return { bounds: [], restored: new Map() };
    const { log, topic, checkpoints, known } = this.#parts;
    // However many devices the state topic has, no more of them are held than may be known.
    const room = known.fork();
    const restored = await Promise.all(
      partitions.map(async (number) => [number, await checkpoints.restore(number, room)] as const),
    );
    // After the state, so that no last value is of later than the end: another owner may still be writing.
    return { bounds: await log.bounds(topic, partitions), restored: new Map(restored) };
  }

  /** `elsewhere` → `recovering`. Answers where reading begins. */
  begin(
    partition: Partition,
    mirror: Pick<Mirror, 'stop'>,
    generation: number,
    { bounds, restored }: Prepared,
  ): number {
    const { number } = partition;
    const { channels, checkpoints, recoveryRecordsMax } = this.#parts;
    mirror.stop();
    const { first, next } = boundsOf(bounds, number);
    const state = restored.get(number)!;
    for (const [path, device] of state.devices) {
      const { arrivals, rhythm, lastSeq } = device.decoded();
      partition.restore(path, arrivals, rhythm, lastSeq);
    }
    // The newest records for the window; and all that the state does not hold, for the last values.
    let from = Math.max(first, Math.min(next - recoveryRecordsMax, state.from ?? next));
    for (const channel of channels.in(number)) {
      const had = channel.slot(number).next;
      if (had >= 0) partition.miss(channel, had, first, 'retention');
      if (had >= 0) from = Math.max(first, Math.min(from, had));
    }
    from = Math.max(first, from - repeatRecordsMax);
    checkpoints.begin(number, state.from ?? from);
    partition.gain(generation, from, next);
    return from;
  }
}

function boundsOf(bounds: readonly PartitionBounds[], partition: number): PartitionBounds {
  const found = bounds[partition];
  if (found !== undefined) return found;
  throw new TailraceError('unavailable', `expected the bounds of partition ${partition}, got none: its broker is away`);
}
