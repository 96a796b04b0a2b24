import type { LogReport, Packed } from '../channels/log-report.ts';

export interface WindowLimits {
  /** Of the reports held, with what it takes to hold them. */
  readonly bytesMax: number;
  readonly ageMsMax: number;
}

/** As much of a device as the window needs. */
export interface WindowDevice {
  readonly path: string;
  /** Position of its newest report here; -1: none. */
  windowSeq: number;
}

/** What holding a report takes in the heap, besides its bytes; measured. Small reports cost more than they have. */
const entryBytes = 144;

/** A report in the window, and the one before it of the same device. */
export interface WindowReport {
  readonly seq: number;
  readonly report: Packed;
  readonly device: WindowDevice;
  /** -1: none that is still here. */
  readonly previousSeq: number;
  readonly atMs: number;
  /** The largest `atMs` of this report and all before it: times of foreign producers may go back. */
  readonly latestMs: number;
}

/** In the place of those that were dropped, so that nothing is held by them until the array is shortened. */
const droppedReport: WindowReport = Object.freeze({
  ...{ seq: -1, report: '', device: { path: '', windowSeq: -1 }, previousSeq: -1, atMs: 0, latestMs: 0 },
});

/**
 * The newest reports of one partition, whole, in order: clients that come back resume from here. Bounded by bytes and
 * by age; the oldest are dropped first.
 *
 * Reports lie in the order of their positions. A device knows its newest, and each report the one before it of the same
 * device, so that one device's reports are found without visiting the others', and without an index.
 */
export class Window {
  readonly #bytesMax: number;
  readonly #ageMsMax: number;
  readonly #reports: WindowReport[] = [];
  /** Entries before this index were dropped; the array is shortened when half of it was. */
  #head = 0;
  #bytes = 0;
  /** Everything from here on is in the window, as far as it was offered. */
  #from = 0;

  constructor(limits: WindowLimits) {
    this.#bytesMax = limits.bytesMax;
    this.#ageMsMax = limits.ageMsMax;
  }

  /** What the reports held take. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#reports.length - this.#head;
  }

  /** Everything that was offered at or after this position is here. */
  get from(): number {
    return this.#from;
  }

  /** Forgets everything: what comes next starts at `from`. */
  restart(from: number): void {
    // A device that stays known would lead from what is added next to what is not here any more.
    for (let i = this.#head; i < this.#reports.length; i++) this.#reports[i]!.device.windowSeq = -1;
    this.#reports.length = 0;
    this.#head = 0;
    this.#bytes = 0;
    this.#from = from;
  }

  /** A report newer than all that are here; `atMs`: when it was appended. */
  add(device: WindowDevice, logReport: LogReport, atMs: number): void {
    const report = logReport.packed;
    const previousSeq = device.windowSeq;
    device.windowSeq = logReport.seq;
    const latestMs = Math.max(atMs, this.#reports.at(-1)?.latestMs ?? 0);
    this.#reports.push({ seq: logReport.seq, report, device, previousSeq, atMs, latestMs });
    this.#bytes += entryBytes + report.length;
    this.#expire(atMs);
  }

  /** Drops what is too old, or too much. */
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

  /** Reports of one device from a position on, oldest first. */
  ofDevice(device: WindowDevice, from: number): WindowReport[] {
    const found: WindowReport[] = [];
    for (let seq = device.windowSeq; seq >= from && seq >= this.#from; ) {
      const report = this.#at(seq);
      if (report === undefined) break;
      found.push(report);
      seq = report.previousSeq;
    }
    return found.reverse();
  }

  /** All reports from a position on, oldest first. */
  *since(from: number): Iterable<WindowReport> {
    for (let i = this.#indexOf('seq', from); i < this.#reports.length; i++) yield this.#reports[i]!;
  }

  /**
   * Returns the position of the first report that was appended at `timeMs` or later, `next` where none was. Undefined
   * where the window does not reach back so far.
   */
  positionAt(timeMs: number, next: number): number | undefined {
    const oldest = this.#reports[this.#head];
    if (oldest === undefined || oldest.latestMs >= timeMs) return undefined;
    return this.#reports[this.#indexOf('latestMs', timeMs)]?.seq ?? next;
  }

  #at(seq: number): WindowReport | undefined {
    const report = this.#reports[this.#indexOf('seq', seq)];
    return report?.seq === seq ? report : undefined;
  }

  /** Returns the index of the first report whose `key`, which never falls, is at least `value`. Positions have gaps. */
  #indexOf(key: 'seq' | 'latestMs', value: number): number {
    let low = this.#head;
    let high = this.#reports.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#reports[middle]![key] < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
