import type { Partition } from './partition.ts';

/**
 * A partition that has not moved for so long, although there is something to read or that is not known, stands still.
 */
export const stalledMs = 30_000;

interface Mark {
  next: number;
  /** Monotonic ms. */
  sinceMs: number;
}

/**
 * Which partitions of this node stand still: assigned and not read back, or owned and not read. For `/readyz`, and for
 * an alert.
 */
export class StalledPartitions {
  readonly #partitions: readonly Partition[];
  /** Whether a partition is assigned to this node, which has not read its last values yet. */
  readonly #isPreparing: (number: number) => boolean;
  readonly #marks = new Map<number, Mark>();

  constructor(partitions: readonly Partition[], isPreparing: (number: number) => boolean) {
    this.#partitions = partitions;
    this.#isPreparing = isPreparing;
  }

  /** Every second or more often. */
  check(nowMs: number): void {
    for (const partition of this.#partitions) {
      const { number, next } = partition;
      if (!this.#waits(partition, nowMs)) {
        this.#marks.delete(number);
        continue;
      }
      const mark = this.#marks.get(number);
      if (mark === undefined) this.#marks.set(number, { next, sinceMs: nowMs });
      else if (mark.next !== next) {
        mark.next = next;
        mark.sinceMs = nowMs;
      }
    }
  }

  /** Those that stand still. */
  at(nowMs: number): Partition[] {
    return this.#partitions.filter(({ number }) => {
      const mark = this.#marks.get(number);
      return mark !== undefined && nowMs - mark.sinceMs >= stalledMs;
    });
  }

  /**
   * Whether every partition that this node owns stands still, and the log says that there is something to read in each:
   * it is this node that does not read.
   */
  isStalled(nowMs: number): boolean {
    const owned = this.#partitions.filter(({ role }) => role === 'owned');
    if (owned.length === 0) return false;
    const stalled = new Set(this.at(nowMs));
    return owned.every((partition) => stalled.has(partition) && partition.progress.lagRecords(partition.next) > 0);
  }

  /** Whether there is something to read, or that cannot be told. */
  #waits({ number, role, next, progress }: Partition, nowMs: number): boolean {
    if (role === 'elsewhere') return this.#isPreparing(number);
    if (role === 'recovering') return true;
    return progress.lagRecords(next) > 0 || progress.lagMs(nowMs) > stalledMs;
  }
}
