/** As fanout remembers message IDs by default (`idWindowMs`), ms by the clock of ingest. */
const idWindowMs = 120_000;
/** As many reports of a device may wait for an acknowledgement. Of more, the oldest are forgotten. */
const idsMax = 64;

export type DuplicateReportsState = readonly (readonly [id: string, receivedMs: number])[];

/**
 * Recognizes reports that a device sends again with their message ID, since it has no acknowledgement of the first
 * ones. Only for reports whose readings count at the time at which ingest receives them: sent again, they would be the
 * newest, and raise once more what had returned. Those with a time of the device are late, or change nothing.
 *
 * What is remembered is part of the state of the device, so that each owner decides the same.
 */
export class DuplicateReports {
  /** When a report with the ID was received, oldest first. */
  readonly #ids: Map<string, number>;

  constructor(state: DuplicateReportsState = []) {
    this.#ids = new Map(state);
  }

  /** Adds the ID of a report, and returns whether an earlier report had it. A report that repeats one counts, too. */
  isDuplicate(id: string, receivedMs: number): boolean {
    const ids = this.#ids;
    const before = ids.get(id);
    ids.delete(id);
    ids.set(id, Math.max(receivedMs, before ?? 0));
    for (const [oldest, oldestMs] of ids) {
      if (ids.size <= idsMax && receivedMs - oldestMs <= idWindowMs) break;
      ids.delete(oldest);
    }
    return before !== undefined && receivedMs - before <= idWindowMs;
  }

  state(): DuplicateReportsState {
    return [...this.#ids];
  }
}
