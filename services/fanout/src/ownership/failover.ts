import { assignPartitions } from '@tailrace/eventlog/rendezvous';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { RelaySubscriber } from '../relay/relay-subscriber.ts';
import type { Announcer, LocalNode } from './announcer.ts';
import type { Partition } from './partition.ts';
import type { PartitionReader } from './partition-reader.ts';
import type { Ring } from './ring.ts';
import type { TakeOver } from './take-over.ts';

export interface FailoverOptions {
  readonly node: string;
  readonly ring: Ring;
  readonly partitions: readonly Partition[];
  readonly relays: readonly RelaySubscriber[];
  readonly takeOver: TakeOver;
  readonly reader: Pick<PartitionReader, 'follow' | 'stop'>;
  readonly announcer: Pick<Announcer, 'announce' | 'isIsolated'>;
  readonly localNode: LocalNode;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly logger: Logger;
}

/**
 * The partitions that this node serves as their standby owner, until the group has assigned them. It does not own them,
 * reads them outside the group, and announces them separately. There are two kinds:
 * - Partitions without an owner, or whose owner is suspect. Every node selects the same standby owner: the node to
 *   which the group is going to assign the partition, so that it mostly stays there.
 * - Partitions that this node lost, or owned when it left the group: until the next owner serves them, so that no
 *   client waits.
 *
 * A node stops when another one serves the partition as its owner, or as a standby owner that comes first (see `Ring`).
 * Two nodes that serve one partition do no harm: positions order all reports, and each follower follows one of the two.
 */
export class Failover {
  /** Partitions taken over, kept until another node serves them, and released. */
  readonly counts = { takenOver: 0, kept: 0, released: 0 };
  readonly #options: FailoverOptions;
  readonly #preparing = new Set<number>();
  /** The assignment of a group of the eligible nodes `of`. */
  #successors: { readonly of: string; readonly byName: ReadonlyMap<string, readonly number[]> } | undefined;
  #stopped = false;

  constructor(options: FailoverOptions) {
    this.#options = options;
  }

  /** Number of partitions that this node serves as their standby owner. */
  get size(): number {
    return this.#options.partitions.reduce((sum, partition) => sum + (partition.isStandby ? 1 : 0), 0);
  }

  /** Takes over the partitions that no node serves and whose standby owner is this node. Called regularly. */
  check(): void {
    const { ring, partitions, clock, announcer, node } = this.#options;
    for (const partition of partitions) if (partition.isStandby) this.releaseIfServed(partition.number);
    if (this.#stopped || announcer.isIsolated) return;
    const orphans = ring.orphans(clock.monotonic());
    if (orphans.length === 0) return;
    const succeeded = this.#partitionsOf(node);
    const mine = orphans.filter(
      (number) =>
        succeeded.includes(number) && partitions[number]!.role === 'elsewhere' && !this.#preparing.has(number),
    );
    // One by one, so that one that cannot be read does not delay the others.
    for (const number of mine) void this.#takeOver(number);
  }

  /** Releases a partition if another node serves it. */
  releaseIfServed(number: number): void {
    const { ring, partitions, node } = this.#options;
    const owner = ring.owner(number);
    if (!partitions[number]!.isStandby || owner === undefined || owner.node === node || ring.isSuspect(owner.node))
      return;
    this.counts.released++;
    this.#release(number);
  }

  /**
   * Called when the group assigns a partition of this node to another one, or this node leaves the group. Keeps the
   * partition if this node serves it and no other one does; otherwise releases it.
   */
  revoked(number: number): void {
    const { ring, partitions, reader, node } = this.#options;
    const partition = partitions[number]!;
    if (partition.isStandby) return;
    const owner = ring.owner(number);
    const isServed = owner !== undefined && owner.node !== node && !ring.isSuspect(owner.node);
    if (partition.role === 'owned' && !isServed && !this.#stopped) {
      this.counts.kept++;
      partition.standBy();
      reader.follow(number);
    } else this.#release(number);
  }

  /**
   * Called when the group assigns a standby partition to this node, which continues at its position. Returns that
   * position.
   */
  promote(number: number, generation: number): number {
    const partition = this.#options.partitions[number]!;
    this.#options.reader.stop(number);
    partition.promote(generation);
    return partition.next;
  }

  /** Serves all standby partitions under a new assignment. */
  setGeneration(generation: number): void {
    for (const partition of this.#options.partitions) if (partition.isStandby) partition.setGeneration(generation);
  }

  /** Releases all partitions, and takes over no others. */
  stop(): void {
    this.#stopped = true;
    for (const { isStandby, number } of this.#options.partitions) if (isStandby) this.#release(number);
  }

  async #takeOver(number: number): Promise<void> {
    const { takeOver, partitions, relays, reader, ring, logger, clock, announcer, localNode } = this.#options;
    this.#preparing.add(number);
    try {
      const prepared = await takeOver.prepare([number]);
      const partition = partitions[number]!;
      const orphans = this.#stopped || announcer.isIsolated ? [] : ring.orphans(clock.monotonic());
      if (!orphans.includes(number) || partition.role !== 'elsewhere') return;
      takeOver.start(partition, relays[number]!, localNode.generation, prepared);
      partition.standBy();
      reader.follow(number);
      this.counts.takenOver++;
      logger.warn({ partition: number }, 'no node serves this partition; this node does until the group assigns it');
      announcer.announce();
    } catch (error) {
      logger.warn(
        { partition: number, error },
        'a partition that no node serves could not be taken over; trying again',
      );
    } finally {
      this.#preparing.delete(number);
    }
  }

  #release(number: number): void {
    const { partitions, relays, reader, ring } = this.#options;
    reader.stop(number);
    partitions[number]!.lose();
    relays[number]!.follow(ring.owner(number));
  }

  /**
   * Returns the partitions that the group would assign to a node if it consisted of the eligible ones. Computed when
   * these change.
   */
  #partitionsOf(node: string): readonly number[] {
    const { ring, partitions } = this.#options;
    const names = ring.eligibleNodes().sort();
    const of = names.join(' ');
    if (this.#successors?.of !== of) this.#successors = { of, byName: assignPartitions(names, partitions.length) };
    return this.#successors.byName.get(node) ?? [];
  }
}
