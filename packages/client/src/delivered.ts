import type { Delivery } from '@tailrace/protocol/report';

/**
 * Devices remembered by one subscription. Above it the oldest is evicted, and a duplicate of its last report passes.
 */
export const devicesRememberedMax = 200_000;
/**
 * Tags of one device whose last reading is remembered. Above it the least recently updated is evicted. Twice the
 * server's limit, so that the client keeps every tag that a server leaves out of a delta.
 */
export const tagsRememberedMax = 2_000;

/**
 * The last delivered position of each device of a subscription. Within an epoch a device's positions only grow, on
 * every node, so a report that is not newer is a duplicate and is dropped. This makes a snapshot after a reconnect
 * harmless, and so two nodes that both own a partition.
 */
export class Delivered {
  #epoch: string | undefined;
  readonly #lastSeq = new Map<string, number>();
  #dropped = 0;

  /** Clears the positions where the epoch is another one, since they are not comparable. Returns whether it is. */
  enter(epoch: string): boolean {
    if (epoch === this.#epoch) return false;
    this.#epoch = epoch;
    this.#lastSeq.clear();
    return true;
  }

  /** Returns whether positions of the epoch are comparable with those delivered. */
  knows(epoch: string): boolean {
    return epoch === this.#epoch;
  }

  /** Number of reports dropped because they were not newer. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Returns the reports that are newer than those delivered before, in order; the same array where all are. */
  newer(reports: readonly Delivery[]): readonly Delivery[] {
    let newer: Delivery[] | undefined;
    for (const [index, report] of reports.entries()) {
      if (this.#accept(report)) newer?.push(report);
      else newer ??= reports.slice(0, index);
    }
    if (newer !== undefined) this.#dropped += reports.length - newer.length;
    return newer ?? reports;
  }

  #accept(report: Delivery): boolean {
    const last = this.#lastSeq.get(report.device);
    if (last !== undefined && report.seq <= last) return false;
    if (last === undefined && this.#lastSeq.size === devicesRememberedMax) {
      const [first] = this.#lastSeq.keys();
      if (first !== undefined) this.#lastSeq.delete(first);
    }
    this.#lastSeq.set(report.device, report.seq);
    return true;
  }
}
