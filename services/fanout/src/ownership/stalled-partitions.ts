import type { Partition } from './partition.ts';

/**
 * A partition that has not moved for so long, ms, although there is something to read or that is not known, is stalled.
 */
export const stalledMs = 30_000;

/** Where a partition was when it last moved. */
interface LastMove {
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
  readonly #waiting = new Map<number, LastMove>();

  constructor(partitions: readonly Partition[], isPreparing: (number: number) => boolean) {
    this.#partitions = partitions;
    this.#isPreparing = isPreparing;
  }

  /** Every second or more often. */
  check(nowMs: number): void {
    for (const partition of this.#partitions) {
      const { number, next } = partition;
      if (!this.#waits(partition, nowMs)) {
        this.#waiting.delete(number);
        continue;
      }
      const last = this.#waiting.get(number);
      if (last === undefined) this.#waiting.set(number, { next, sinceMs: nowMs });
      else if (last.next !== next) {
        last.next = next;
        last.sinceMs = nowMs;
      }
    }
  }

  /** Those that stand still. */
  at(nowMs: number): Partition[] {
    return this.#partitions.filter(({ number }) => {
      const last = this.#waiting.get(number);
      return last !== undefined && nowMs - last.sinceMs >= stalledMs;
    });
  }

  /**
   * Whether every partition that this node owns stands still, and the log has something to read in each: then this node
   * does not read.
   */
  isStalled(nowMs: number): boolean {
    const owned = this.#partitions.filter(({ role }) => role === 'owned');
    if (owned.length === 0) return false;
    const stalled = new Set(this.at(nowMs));
    return owned.every((partition) => stalled.has(partition) && partition.progress.lagRecords(partition.next) > 0);
  }

  /** Whether there is something to read, or that is not known. */
  #waits({ number, role, next, progress }: Partition, nowMs: number): boolean {
    if (role === 'elsewhere') return this.#isPreparing(number);
    if (role === 'recovering') return true;
    return progress.lagRecords(next) > 0 || progress.lagMs(nowMs) > stalledMs;
  }
}
