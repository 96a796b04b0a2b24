import { assignPartitions } from '@tailrace/eventlog/rendezvous';
import type { Logger } from '@tailrace/platform/logger';
import type { RelaySubscriber } from '../relay/relay-subscriber.ts';
import type { Partition } from './partition.ts';
import type { Ring } from './ring.ts';
import type { Tail } from './tail.ts';
import type { TakeOver } from './take-over.ts';

export interface FailoverOptions {
  readonly node: string;
  readonly ring: Ring;
  readonly partitions: readonly Partition[];
  readonly relays: readonly RelaySubscriber[];
  readonly takeOver: TakeOver;
  readonly tail: Tail;
  readonly logger: Logger;
  /** Monotonic ms. */
  readonly now: () => number;
  /** Of this node's last assignment. */
  readonly generation: () => number;
  /** Whether this node receives nothing on the bus: then it cannot know which nodes are silent. */
  readonly deaf: () => boolean;
  readonly announce: () => void;
}

/**
 * Partitions that this node serves without owning them, until the group has spoken: it reads them by itself, as a reader outside the group, and announces them apart.
 * - One whose owner has fallen silent, or that nobody has. Every node works out alike who is to stand in: the one to which the group is going to give the partition
 *   once it has noticed, so that mostly it just stays there.
 * - One that was this node's own until the group gave it to another, or this node left: until the other serves it, so that nobody waits meanwhile.
 *
 * It ends when another serves the partition as its owner, or in a better place to act than this node (see `Ring`). Two that serve one partition at the same time
 * do no harm: positions order everything, and who follows the partition listens to one of them.
 */
export class Failover {
  /** Partitions taken over from silent nodes, kept until another serves them, and handed on since. */
  readonly counts = { takenOver: 0, kept: 0, handedOn: 0 };
  readonly #parts: FailoverOptions;
  readonly #preparing = new Set<number>();
  #heirs: { readonly of: string; readonly byName: ReadonlyMap<string, readonly number[]> } | undefined;
  #stopped = false;

  constructor(parts: FailoverOptions) {
    this.#parts = parts;
  }

  /** Partitions served so. */
  get size(): number {
    return this.#parts.partitions.reduce((sum, partition) => sum + (partition.isStandby ? 1 : 0), 0);
  }

  /** Call it regularly. Takes over the partitions that no node serves and that fall to this node. */
  look(): void {
    const { ring, partitions, now, deaf, node } = this.#parts;
    for (const partition of partitions) if (partition.isStandby) this.settle(partition.number);
    if (this.#stopped || deaf()) return;
    const orphans = ring.orphans(now());
    if (orphans.length === 0) return;
    const inherited = this.#inherited(node);
    const mine = orphans.filter(
      (number) =>
        inherited.includes(number) && partitions[number]!.role === 'elsewhere' && !this.#preparing.has(number),
    );
    // Each by itself: one that cannot be read holds up no other.
    for (const number of mine) void this.#takeOver(number);
  }

  /** Ends acting for a partition that another serves now. */
  settle(number: number): void {
    const { ring, partitions, node } = this.#parts;
    const owner = ring.owner(number);
    if (!partitions[number]!.isStandby || owner === undefined || owner.node === node || ring.isSuspect(owner.node)) return;
    this.counts.handedOn++;
    this.#end(number);
  }

  /**
   * The group gives a partition of this node to another, or this node leaves. It goes on with it if it serves it and nobody else does yet; else the
   * partition is lost at once.
   */
  linger(number: number): void {
    const { ring, partitions, tail, node } = this.#parts;
    const partition = partitions[number]!;
    if (partition.isStandby) return;
    const owner = ring.owner(number);
    const served = owner !== undefined && owner.node !== node && !ring.isSuspect(owner.node);
    if (partition.role === 'owned' && !served && !this.#stopped) {
      this.counts.kept++;
      partition.standBy();
      tail.start(number);
    } else this.#end(number);
  }

  /** The group has spoken, and gives the partition to this very node: it goes on where it is. Answers where. */
  adopt(number: number, generation: number): number {
    const partition = this.#parts.partitions[number]!;
    this.#parts.tail.stop(number);
    partition.adopt(generation);
    return partition.next;
  }

  /** What it serves so it serves under this assignment now. */
  renew(generation: number): void {
    for (const partition of this.#parts.partitions) if (partition.isStandby) partition.keep(generation);
  }

  /** Lets go of everything, and takes nothing any more. */
  stop(): void {
    this.#stopped = true;
    for (const { isStandby, number } of this.#parts.partitions) if (isStandby) this.#end(number);
  }

  async #takeOver(number: number): Promise<void> {
    const { takeOver, partitions, relays, tail, ring, logger, now, deaf, announce } = this.#parts;
    this.#preparing.add(number);
    try {
      const prepared = await takeOver.prepare([number]);
      const partition = partitions[number]!;
      const orphans = this.#stopped || deaf() ? [] : ring.orphans(now());
      if (!orphans.includes(number) || partition.role !== 'elsewhere') return;
      takeOver.begin(partition, relays[number]!, this.#parts.generation(), prepared);
      partition.standBy();
      tail.start(number);
      this.counts.takenOver++;
      logger.warn({ partition: number }, 'no node serves this partition; this node does until the group assigns it');
      announce();
    } catch (error) {
      logger.warn(
        { partition: number, error },
        'a partition that no node serves could not be taken over; trying again',
      );
    } finally {
      this.#preparing.delete(number);
    }
  }

  #end(number: number): void {
    const { partitions, relays, tail, ring } = this.#parts;
    tail.stop(number);
    partitions[number]!.lose();
    relays[number]!.follow(ring.owner(number));
  }

  /** What the group would assign to a node if it consisted of those that are heard. Worked out anew when they change. */
  #inherited(node: string): readonly number[] {
    const { ring, partitions } = this.#parts;
    const names = ring.willing().sort();
    const of = names.join(' ');
    if (this.#heirs?.of !== of) this.#heirs = { of, byName: assignPartitions(names, partitions.length) };
    return this.#heirs.byName.get(node) ?? [];
  }
}
