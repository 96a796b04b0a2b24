import { delayBoundsSeconds, Histogram } from '@tailrace/platform/measures';
import type { Channel } from '../channels/channel.ts';
import { KnownDevices } from '../channels/known-devices.ts';
import type { Freshness } from '../presence/freshness.ts';
import { Interests } from '../relay/interests.ts';
import { Mirror } from '../relay/mirror.ts';
import type { MirrorCounts } from '../relay/mirrorparts.ts';
import { RelayFeed } from '../relay/relayfeed.ts';
import type { FanoutSpans } from '../spans.ts';
import type { IdMemory } from './id-memory.ts';
import { IntakeFaults } from './intake-faults.ts';
import type { OwnershipParts } from './ownershipparts.ts';
import { Partition } from './partition.ts';

/** All partitions as this node has them: each here, or, through its mirror, elsewhere. What it is changes; channels need not know. */
export class Holdings {
  readonly partitions: readonly Partition[];
  readonly mirrors: readonly Mirror[];
  readonly known: KnownDevices;
  readonly counts = {
    partition: { reports: 0, repeated: 0 },
    feed: { frames: 0, updates: 0 },
    mirror: {
      ...{ frames: 0, foreign: 0, breaks: 0, asks: 0, askFailures: 0 },
      ...{ askSeconds: new Histogram(delayBoundsSeconds), ageSeconds: new Histogram(delayBoundsSeconds) },
    } satisfies MirrorCounts,
    /** Times that channels of this node were told that something is no longer in the log. */
    missing: { ranges: 0 },
  };

  readonly faults: IntakeFaults;

  constructor(parts: OwnershipParts, freshness: Freshness, spans: FanoutSpans, ids: IdMemory) {
    this.known = new KnownDevices(parts.limits);
    const { log, clock } = parts;
    this.faults = new IntakeFaults(
      (facts, sentence) => log.warn(facts, sentence),
      () => clock.monotonic(),
    );
    this.partitions = Array.from({ length: parts.partitions }, (_, number) =>
      this.#partition(number, parts, freshness, ids),
    );
    this.mirrors = this.partitions.map((partition) => this.#mirror(partition, parts, spans));
  }

  #partition(number: number, parts: OwnershipParts, freshness: Freshness, idMemory: IdMemory): Partition {
    const { bus, node, epoch, channels, views, limits, random, clock } = parts;
    const interests = new Interests(limits.interestLeaseMs, Math.floor(random() * 2 ** 32));
    const now = () => clock.monotonic();
    return new Partition(number, {
      channels,
      views,
      feed: new RelayFeed({ bus, interests, partition: number, node, epoch, now, counts: this.counts.feed }),
      counts: this.counts.partition,
      known: this.known,
      faults: this.faults,
      idMemory,
      window: { bytesMax: limits.windowBytesMax, ageMsMax: limits.windowMs },
      freshness,
      cutSlackMs: limits.cutSlackMs,
      onMissing: (...range) => {
        this.counts.missing.ranges++;
        parts.onMissing(...range);
      },
    });
  }

  #mirror(partition: Partition, parts: OwnershipParts, spans: FanoutSpans): Mirror {
    const { channels, views, limits } = parts;
    return new Mirror(partition, {
      ...parts,
      counts: this.counts.mirror,
      deadlineMs: limits.askDeadlineMs,
      silenceMs: limits.frameSilenceMs,
      heldBytesMax: limits.heldBytesMax,
      channels: (number) => channels.in(number),
      find: (pattern) => channels.find(pattern),
      spans,
      flush: (cause) => spans.publish(cause, views),
    });
  }

  /** Bytes of frames held for channels that are being asked for. */
  get heldBytes(): number {
    return this.mirrors.reduce((sum, mirror) => sum + mirror.heldBytes, 0);
  }

  /** The same of the partition that has most. */
  get heldBytesMost(): number {
    return this.mirrors.reduce((most, mirror) => Math.max(most, mirror.heldBytes), 0);
  }

  /** See `Progress.deliveredThroughMs`. */
  deliveredThroughMs(number: number): number {
    return this.partitions[number]!.progress.deliveredThroughMs;
  }

  /** A channel that is new on this node gets joined to its partitions, wherever they are. */
  admit(channel: Channel): void {
    for (const number of channel.partitions) {
      const partition = this.partitions[number]!;
      if (partition.role === 'elsewhere') this.mirrors[number]!.admit(channel);
      else partition.admit(channel);
    }
  }

  /** The channel was closed. */
  release(channel: Channel): void {
    for (const number of channel.partitions) {
      if (this.partitions[number]!.role === 'elsewhere') this.mirrors[number]!.release(channel);
    }
  }

  /** Up to where a channel that has been live is complete in a partition. */
  next(channel: Channel, number: number): number {
    const partition = this.partitions[number]!;
    const slot = channel.slot(number);
    // How far the node is says nothing of a channel that is being asked for again.
    if (slot.state !== 'joined') return slot.next;
    const here = partition.role === 'elsewhere' ? this.mirrors[number]!.next : partition.next;
    return Math.max(here, slot.next);
  }
}
