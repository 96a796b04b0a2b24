import type { Assignment, StartPositions } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { retry } from '@tailrace/platform/retry';
import type { RelaySubscriber } from '../relay/relay-subscriber.ts';
import type { Announcer, LocalNode } from './announcer.ts';
import type { Failover } from './failover.ts';
import type { Partition } from './partition.ts';
import type { PartitionReader } from './partition-reader.ts';
import type { Prepared, TakeOver } from './take-over.ts';

export interface AssignmentsOptions {
  readonly topic: string;
  readonly partitions: readonly Partition[];
  readonly relays: readonly RelaySubscriber[];
  readonly takeOver: TakeOver;
  readonly reader: Pick<PartitionReader, 'readBack'>;
  readonly failover: Failover;
  readonly announcer: Pick<Announcer, 'announce'>;
  readonly localNode: LocalNode;
  readonly clock: Pick<Clock, 'sleep' | 'monotonic'>;
  readonly logger: Logger;
  /** In [0, 1): spreads retries. */
  readonly random: () => number;
}

const retryBaseMs = 200;
const retryCapMs = 5_000;

/**
 * Applies the assignments of the consumer group: takes over the partitions that this node gains, and keeps those that
 * it loses until another node serves them.
 */
export class Assignments {
  readonly #options: AssignmentsOptions;
  /** Partitions that are being prepared. The value identifies the assignment that brought each. */
  readonly #preparing = new Map<number, object>();
  #isLeaving = false;

  constructor(options: AssignmentsOptions) {
    this.#options = options;
  }

  /**
   * Called before the node leaves the group. It takes no further partitions, and continues to serve its own: see
   * `Failover`.
   */
  leave(): void {
    this.#isLeaving = true;
    const { partitions, failover } = this.#options;
    for (const { number, role } of partitions) if (role !== 'elsewhere') failover.revoked(number);
  }

  /**
   * Applies an assignment. Returns the start position of each gained partition, as a promise that resolves when its
   * last values have been read. If the log cannot be read for one partition, that one is retried, and the others are
   * served.
   */
  take(assignment: Assignment): StartPositions {
    const { topic, partitions, failover, announcer, clock, logger, localNode } = this.#options;
    const { generation, gained, lost } = assignment;
    if (this.#isLeaving) return {};
    const starts: Record<number, number | Promise<number>> = {};
    localNode.generation = generation;
    for (const number of lost) {
      this.#preparing.delete(number);
      // A partition that was still being prepared was followed by relay all the time.
      if (partitions[number]!.role !== 'elsewhere') failover.revoked(number);
    }
    for (const number of assignment.partitions) {
      const partition = partitions[number]!;
      if (partition.isStandby) starts[number] = failover.promote(number, generation);
      else if (!gained.includes(number)) this.#keep(partition, generation);
      else {
        // A member whose consumer was re-created gains partitions without a notification that it had lost them.
        if (partition.role !== 'elsewhere') partition.lose();
        starts[number] = this.#takeOver(partition);
      }
    }
    failover.setGeneration(generation);
    localNode.sinceMs ??= clock.monotonic();
    logger.info({ generation, partitions: assignment.partitions, gained, lost }, 'partitions assigned');
    announcer.announce();
    return { [topic]: starts };
  }

  #keep(partition: Partition, generation: number): void {
    if (partition.role !== 'elsewhere') partition.setGeneration(generation);
  }

  /** Returns whether a partition is assigned to this node, and its last values are not read yet. */
  isPreparing(number: number): boolean {
    return this.#preparing.has(number);
  }

  /** Resolves with the start position. Never settles if the partition was lost meanwhile. */
  async #takeOver(partition: Partition): Promise<number> {
    const { clock, random, logger } = this.#options;
    const { number } = partition;
    const preparing = {};
    this.#preparing.set(number, preparing);
    const isLost = () => this.#preparing.get(number) !== preparing || this.#isLeaving;
    const options = {
      clock,
      random,
      baseMs: retryBaseMs,
      capMs: retryCapMs,
      isRetryable: () => !isLost(),
      onRetry: (error: unknown, _retries: number, waitMs: number) =>
        logger.warn({ partition: number, waitMs, error }, 'a partition could not be taken over; trying again'),
    };
    let start: number | undefined;
    try {
      start = await retry(options, () => this.#tryTakeOver(partition, isLost));
    } catch (error) {
      if (!isLost()) throw error;
    }
    if (start !== undefined) return start;
    // A new promise, which is collected together with its waiters. A shared one would keep them forever.
    return await new Promise<never>(() => {});
  }

  /** Resolves with undefined if the partition was lost meanwhile. */
  async #tryTakeOver(partition: Partition, isLost: () => boolean): Promise<number | undefined> {
    const { takeOver, reader } = this.#options;
    const { number } = partition;
    const prepared = await takeOver.prepare([number]);
    if (isLost()) return undefined;
    this.#start(partition, prepared);
    this.#preparing.delete(number);
    await reader.readBack(partition);
    return partition.role === 'elsewhere' ? undefined : partition.next;
  }

  #start(partition: Partition, prepared: Prepared): void {
    const { relays, takeOver, failover, announcer, localNode } = this.#options;
    const { number } = partition;
    // This node became the standby owner in the meantime, and continues at its position.
    if (partition.isStandby) failover.promote(number, localNode.generation);
    else {
      takeOver.start(partition, relays[number]!, localNode.generation, prepared);
      if (partition.role === 'owned') announcer.announce();
    }
  }
}
