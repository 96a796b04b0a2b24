import type { Delivery } from '@tailrace/protocol/report';

/** Devices remembered by one subscription. Beyond it the one heard of first is forgotten: a repeat of its last report would pass. */
export const devicesRememberedMax = 200_000;
/**
 * Tags of one device of which the last reading is kept; beyond it the one told longest ago is forgotten. Twice what a
 * server remembers, so that no tag is forgotten here that it leaves out.
 */
export const tagsRememberedMax = 2_000;

/**
 * What a subscription has been given: the last position of each device. Within an epoch a device's positions only grow, whichever node
 * delivers, so anything that is not newer was seen before and is dropped. That is what makes a snapshot after a reconnect, or two nodes that
 * both believe that they own a partition, harmless.
 */
export class Delivered {
  #epoch: string | undefined;
  readonly #lastSeq = new Map<string, number>();
  #dropped = 0;

  /** Positions of another epoch cannot be compared: everything is forgotten. Whether it is another. */
  enter(epoch: string): boolean {
    if (epoch === this.#epoch) return false;
    this.#epoch = epoch;
    this.#lastSeq.clear();
    return true;
  }

  /** Whether positions of the epoch compare with what was given. */
  knows(epoch: string): boolean {
    return epoch === this.#epoch;
  }

  /** Reports dropped because they were not newer, since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Those that are newer than what was given before, in their order; the same array where all are. */
  newer(reports: readonly Delivery[]): readonly Delivery[] {
    let kept: Delivery[] | undefined;
    for (const [index, report] of reports.entries()) {
      if (this.#take(report)) kept?.push(report);
      else kept ??= reports.slice(0, index);
    }
    if (kept !== undefined) this.#dropped += reports.length - kept.length;
    return kept ?? reports;
  }

  #take(report: Delivery): boolean {
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
