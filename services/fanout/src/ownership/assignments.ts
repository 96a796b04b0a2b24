import type { Assignment, StartPositions } from '@tailrace/eventlog/eventlog';
import type { Log } from '@tailrace/platform/log';
import type { Mirror } from '../relay/mirror.ts';
import type { Acting } from './acting.ts';
import type { Partition } from './partition.ts';
import type { TakeOver } from './takeover.ts';

export interface AssignmentsParts {
  readonly topic: string;
  readonly partitions: readonly Partition[];
  readonly mirrors: readonly Mirror[];
  readonly takeOver: TakeOver;
  readonly acting: Acting;
  readonly log: Log;
  readonly announce: () => void;
}

/** What the consumer group assigns to this node, and what becomes of it. */
export class Assignments {
  /** Of the last one; 0 before the first. */
  generation = 0;
  /** Whether there has been one. */
  any = false;
  readonly #parts: AssignmentsParts;
  #leaving = false;

  constructor(parts: AssignmentsParts) {
    this.#parts = parts;
  }

  /** The node is about to leave the group: what it is assigned meanwhile is others' in a moment. What it serves it goes on with: see `Acting`. */
  leave(): void {
    this.#leaving = true;
    for (const { number, role } of this.#parts.partitions) if (role !== 'elsewhere') this.#parts.acting.linger(number);
  }

  /** Rejects, with nothing changed, where the log cannot be read: the group asks again. */
  async take(assignment: Assignment): Promise<StartPositions> {
    const { topic, partitions, mirrors, takeOver, acting, log } = this.#parts;
    const { generation, gained, lost } = assignment;
    const prepared = await takeOver.prepare(gained.filter((number) => !partitions[number]!.acting));
    if (this.#leaving) return {};
    const isReady = (number: number) => partitions[number]!.acting || prepared.restored.has(number);
    // Another served one of them for a moment meanwhile, in whose favour this node stopped acting.
    if (!gained.every(isReady)) return await this.take(assignment);
    const starts: Record<number, number> = {};
    this.generation = generation;
    for (const number of lost) acting.linger(number);
    for (const number of assignment.partitions) {
      const partition = partitions[number]!;
      if (partition.acting) starts[number] = acting.adopt(number, generation);
      else if (!gained.includes(number)) partition.keep(generation);
      else {
        // A member whose consumer was made anew gains what it never knew it had lost.
        if (partition.role !== 'elsewhere') partition.lose();
        starts[number] = takeOver.begin(partition, mirrors[number]!, generation, prepared);
      }
    }
    acting.renew(generation);
    this.any = true;
    log.info({ generation, partitions: assignment.partitions, gained, lost }, 'partitions assigned');
    this.#parts.announce();
    return { [topic]: starts };
  }
}
