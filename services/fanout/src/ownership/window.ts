import { firstIndex } from '@tailrace/platform/first-index';
import type { LogReport, Packed } from '../channels/log-report.ts';

export interface WindowLimits {
  /** Maximum bytes of the reports, overhead included. */
  readonly bytesMax: number;
  readonly ageMsMax: number;
}

/** The part of a device that the window needs. */
export interface WindowDevice {
  readonly path: string;
  /** Position of its newest report in the window; -1: none. */
  windowSeq: number;
}

/** Heap bytes of a report beside its own bytes; measured. */
const entryBytes = 144;

/** A report in the window, with the position of the previous one of its device. */
export interface WindowReport {
  readonly seq: number;
  readonly report: Packed;
  readonly device: WindowDevice;
  /** -1: none is left in the window. */
  readonly previousSeq: number;
  readonly atMs: number;
  /** The largest `atMs` of this report and all before it: times of other producers may decrease. */
  readonly latestMs: number;
}

/** Replaces dropped reports until the array is shortened, so that it does not keep them in memory. */
const droppedReport: WindowReport = Object.freeze({
  ...{ seq: -1, report: '', device: { path: '', windowSeq: -1 }, previousSeq: -1, atMs: 0, latestMs: 0 },
});

/**
 * The newest reports of one partition, in order, for clients that reconnect. Limited by bytes and by age; the oldest
 * are dropped first.
 *
 * Reports are in the order of their positions. A device has the position of its newest one, and each report that of the
 * previous one of its device. So the reports of one device are found without visiting others, and without an index.
 */
export class Window {
  readonly #bytesMax: number;
  readonly #ageMsMax: number;
  readonly #reports: WindowReport[] = [];
  /** Entries before this index were dropped; the array is shortened when half of it was. */
  #head = 0;
  #bytes = 0;
  /** Everything from here on that was added is in the window. */
  #from = 0;

  constructor(limits: WindowLimits) {
    this.#bytesMax = limits.bytesMax;
    this.#ageMsMax = limits.ageMsMax;
  }

  /** Bytes of the reports, overhead included. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#reports.length - this.#head;
  }

  /** All added reports at or after this position are in the window. */
  get from(): number {
    return this.#from;
  }

  /** Drops all reports. The next one is at `from` or later. */
  restart(from: number): void {
    // A device that stays known must not refer to a dropped report.
    for (let i = this.#head; i < this.#reports.length; i++) this.#reports[i]!.device.windowSeq = -1;
    this.#reports.length = 0;
    this.#head = 0;
    this.#bytes = 0;
    this.#from = from;
  }

  /** Adds a report that is newer than all others. `atMs`: when it was appended, epoch ms. */
  add(device: WindowDevice, logReport: LogReport, atMs: number): void {
    const report = logReport.packed;
    const previousSeq = device.windowSeq;
    device.windowSeq = logReport.seq;
    const latestMs = Math.max(atMs, this.#reports.at(-1)?.latestMs ?? 0);
    this.#reports.push({ seq: logReport.seq, report, device, previousSeq, atMs, latestMs });
    this.#bytes += entryBytes + report.length;
    this.#expire(atMs);
  }

  /** Drops the oldest reports beyond the limits of age and bytes. */
  #expire(nowMs: number): void {
    const oldestMs = nowMs - this.#ageMsMax;
    while (this.#head < this.#reports.length) {
      const first = this.#reports[this.#head]!;
      if (this.#bytes <= this.#bytesMax && first.atMs >= oldestMs) break;
      this.#bytes -= entryBytes + first.report.length;
      this.#from = first.seq + 1;
      if (first.device.windowSeq === first.seq) first.device.windowSeq = -1;
      this.#reports[this.#head++] = droppedReport;
    }
    if (this.#head < 1_024 || this.#head * 2 < this.#reports.length) return;
    this.#reports.splice(0, this.#head);
    this.#head = 0;
  }

  /** Iterates over all reports from a position on, oldest first. */
  *since(from: number): Iterable<WindowReport> {
    for (let i = this.#indexOf('seq', from); i < this.#reports.length; i++) yield this.#reports[i]!;
  }

  /**
   * Returns the position of the first report that was appended at `timeMs` or later; `next` if there is none. Undefined
   * if the window does not go back that far.
   */
  positionAt(timeMs: number, next: number): number | undefined {
    const oldest = this.#reports[this.#head];
    if (oldest === undefined || oldest.latestMs >= timeMs) return undefined;
    return this.#reports[this.#indexOf('latestMs', timeMs)]?.seq ?? next;
  }

  /** Returns the report at a position; undefined if the window does not have it. */
  at(seq: number): WindowReport | undefined {
    const report = this.#reports[this.#indexOf('seq', seq)];
    return report?.seq === seq ? report : undefined;
  }

  /**
   * Returns the index of the first report whose `key`, which never decreases, is at least `value`. Positions have gaps.
   */
  #indexOf(key: 'seq' | 'latestMs', value: number): number {
    return firstIndex(this.#head, this.#reports.length, (i) => this.#reports[i]![key] >= value);
  }
}
