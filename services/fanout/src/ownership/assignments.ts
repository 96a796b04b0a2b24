import type { Assignment, StartPositions } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { RelaySubscriber } from '../relay/relay-subscriber.ts';
import type { Failover } from './failover.ts';
import type { Partition } from './partition.ts';
import type { ReadBack } from './read-back.ts';
import type { Prepared, TakeOver } from './take-over.ts';

export interface AssignmentsParts {
  readonly topic: string;
  readonly partitions: readonly Partition[];
  readonly relays: readonly RelaySubscriber[];
  readonly takeOver: TakeOver;
  readonly readBack: ReadBack;
  readonly acting: Failover;
  readonly clock: Pick<Clock, 'sleep' | 'monotonic'>;
  readonly logger: Logger;
  readonly announce: () => void;
  readonly membership: Membership;
}

/**
 * What the group has assigned to this node, and whether it leaves: written here and by `Ownership`, announced to
 * others.
 */
export class Membership {
  /** Of the last assignment; 0 before the first. */
  generation = 0;
  /** When the first assignment came, monotonic ms. */
  sinceMs: number | undefined;
  isDraining = false;
}

const retryMsMin = 100;
const retryMsMax = 5_000;

/** The partitions that the consumer group assigns to this node, and how they are taken over. */
export class Assignments {
  readonly #parts: AssignmentsParts;
  /** Partitions that are being prepared, each under the assignment that gave it. */
  readonly #preparing = new Map<number, object>();
  #leaving = false;

  constructor(parts: AssignmentsParts) {
    this.#parts = parts;
  }

  /**
   * The node is about to leave the group, and takes nothing that it is assigned from here on. It goes on with what it
   * serves: see `Failover`.
   */
  leave(): void {
    this.#leaving = true;
    for (const { number, role } of this.#parts.partitions) if (role !== 'elsewhere') this.#parts.acting.linger(number);
  }

  /**
   * Each partition that is gained begins when its last values have been read, by itself: while the log cannot be read
   * for one of them, that one is tried again, and the others are served.
   */
  take(assignment: Assignment): StartPositions {
    const { topic, partitions, acting, clock, logger, membership } = this.#parts;
    const { generation, gained, lost } = assignment;
    if (this.#leaving) return {};
    const starts: Record<number, number | Promise<number>> = {};
    membership.generation = generation;
    for (const number of lost) {
      this.#preparing.delete(number);
      // One that was still being prepared has been followed as another's all the time.
      if (partitions[number]!.role !== 'elsewhere') acting.linger(number);
    }
    for (const number of assignment.partitions) {
      const partition = partitions[number]!;
      if (partition.isStandby) starts[number] = acting.adopt(number, generation);
      else if (!gained.includes(number)) this.#keep(partition, generation);
      else {
        // A member whose consumer was made anew gains what it never knew it had lost.
        if (partition.role !== 'elsewhere') partition.lose();
        starts[number] = this.#begin(partition);
      }
    }
    acting.renew(generation);
    membership.sinceMs ??= clock.monotonic();
    logger.info({ generation, partitions: assignment.partitions, gained, lost }, 'partitions assigned');
    this.#parts.announce();
    return { [topic]: starts };
  }

  #keep(partition: Partition, generation: number): void {
    if (partition.role !== 'elsewhere') partition.keep(generation);
  }

  /** Whether a partition is assigned to this node, which has not read its last values yet. */
  isPreparing(number: number): boolean {
    return this.#preparing.has(number);
  }

  /** Resolves with where reading begins, once that is known; never where the partition has been lost meanwhile. */
  async #begin(partition: Partition): Promise<number> {
    const { takeOver, readBack, clock, logger } = this.#parts;
    const { number } = partition;
    const preparing = {};
    this.#preparing.set(number, preparing);
    const isLost = () => this.#preparing.get(number) !== preparing || this.#leaving;
    for (let retryMs = retryMsMin; ; retryMs = Math.min(retryMs * 2, retryMsMax)) {
      try {
        const prepared = await takeOver.prepare([number]);
        if (isLost()) break;
        this.#serve(partition, prepared);
        this.#preparing.delete(number);
        await readBack.run(partition);
        if (partition.role === 'elsewhere') break;
        return partition.next;
      } catch (error) {
        if (isLost()) break;
        logger.warn({ partition: number, retryMs, error }, 'a partition could not be taken over; trying again');
      }
      await clock.sleep(retryMs);
    }
    // One of its own: what waits for it is freed with it. On a shared one it would stay for ever.
    return await new Promise<never>(() => {});
  }

  #serve(partition: Partition, prepared: Prepared): number {
    const { relays, takeOver, acting, announce, membership } = this.#parts;
    const { number } = partition;
    // It has begun to stand in for another owner meanwhile, and goes on where it is.
    if (partition.isStandby) return acting.adopt(number, membership.generation);
    const from = takeOver.begin(partition, relays[number]!, membership.generation, prepared);
    if (partition.role === 'owned') announce();
    return from;
  }
}
