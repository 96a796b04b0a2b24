import type { Partition } from './partition.ts';

/** A partition is stalled after this time without progress, ms, if there are records to read or that is unknown. */
export const stalledMs = 30_000;

/** The last progress of a partition. */
interface LastMove {
  next: number;
  /** Monotonic ms. */
  sinceMs: number;
}

/**
 * Finds the stalled partitions of this node: assigned and not read back, or owned and not read. For `/readyz` and an
 * alert.
 */
export class StalledPartitions {
  readonly #partitions: readonly Partition[];
  /** Returns whether a partition is assigned to this node, and its last values are not read yet. */
  readonly #isPreparing: (number: number) => boolean;
  readonly #waiting = new Map<number, LastMove>();

  constructor(partitions: readonly Partition[], isPreparing: (number: number) => boolean) {
    this.#partitions = partitions;
    this.#isPreparing = isPreparing;
  }

  /** Called every second or more often. */
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

  /** Returns the stalled partitions. */
  at(nowMs: number): Partition[] {
    return this.#partitions.filter(({ number }) => {
      const last = this.#waiting.get(number);
      return last !== undefined && nowMs - last.sinceMs >= stalledMs;
    });
  }

  /**
   * Returns whether every partition that this node owns is stalled and has records to read: then this node does not
   * read.
   */
  isStalled(nowMs: number): boolean {
    const owned = this.#partitions.filter(({ role }) => role === 'owned');
    if (owned.length === 0) return false;
    const stalled = new Set(this.at(nowMs));
    return owned.every((partition) => stalled.has(partition) && partition.progress.lagRecords(partition.next) > 0);
  }

  /** Returns whether there are records to read, or that is unknown. */
  #waits({ number, role, next, progress }: Partition, nowMs: number): boolean {
    if (role === 'elsewhere') return this.#isPreparing(number);
    if (role === 'recovering') return true;
    return progress.lagRecords(next) > 0 || progress.lagMs(nowMs) > stalledMs;
  }
}
