import type { Channel } from '../channels/channels.ts';
import type { RelaySubscriber } from '../relay/relay-subscriber.ts';
import type { Partition } from './partition.ts';

/** All partitions: some are served by this node, the others received by relay. Channels do not distinguish them. */
export class PartitionTable {
  readonly partitions: readonly Partition[];
  /** By number, like the partitions. */
  readonly relays: readonly RelaySubscriber[];

  constructor(partitions: readonly Partition[], relays: readonly RelaySubscriber[]) {
    this.partitions = partitions;
    this.relays = relays;
  }

  /** Bytes of frames held while replies of owners are pending. */
  get heldBytes(): number {
    return this.relays.reduce((sum, relay) => sum + relay.heldBytes, 0);
  }

  /** Bytes of held frames, of the partition that has most. */
  get heldBytesMost(): number {
    return this.relays.reduce((most, relay) => Math.max(most, relay.heldBytes), 0);
  }

  /** Joins a channel that is new on this node to its partitions. */
  admit(channel: Channel): void {
    for (const number of channel.partitions) {
      const partition = this.partitions[number]!;
      if (partition.role === 'elsewhere') this.relays[number]!.admit(channel);
      else partition.admit(channel);
    }
  }

  /** Called when a channel was closed. */
  release(channel: Channel): void {
    for (const number of channel.partitions) {
      if (this.partitions[number]!.role === 'elsewhere') this.relays[number]!.release(channel);
    }
  }

  /** Returns the position up to which a channel that has been live is complete in a partition, exclusive. */
  next(channel: Channel, number: number): number {
    const partition = this.partitions[number]!;
    const slot = channel.slot(number);
    // The position of the node is not that of a channel that is requested again.
    if (slot.state !== 'joined') return slot.next;
    const here = partition.role === 'elsewhere' ? this.relays[number]!.next : partition.next;
    return Math.max(here, slot.next);
  }
}
