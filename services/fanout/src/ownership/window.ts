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
  recentSeq: number;
}

/** What holding a report takes in the heap, besides its bytes; measured. Small reports cost more than they have. */
const entryBytes = 144;

/** A report in the window, and the one before it of the same device. */
export interface Recent {
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
const gone: Recent = Object.freeze({
  ...{ seq: -1, report: '', device: { path: '', recentSeq: -1 }, previousSeq: -1, atMs: 0, latestMs: 0 },
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
  readonly #recents: Recent[] = [];
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
    return this.#recents.length - this.#head;
  }

  /** Everything that was offered at or after this position is here. */
  get from(): number {
    return this.#from;
  }

  /** Forgets everything: what comes next starts at `from`. */
  restart(from: number): void {
    // A device that stays known would lead from what is added next to what is not here any more.
    for (let i = this.#head; i < this.#recents.length; i++) this.#recents[i]!.device.recentSeq = -1;
    this.#recents.length = 0;
    this.#head = 0;
    this.#bytes = 0;
    this.#from = from;
  }

  /** A report newer than all that are here; `atMs`: when it was appended. */
  add(device: WindowDevice, logReport: LogReport, atMs: number): void {
    const report = logReport.packed;
    const previousSeq = device.recentSeq;
    device.recentSeq = logReport.seq;
    const latestMs = Math.max(atMs, this.#recents.at(-1)?.latestMs ?? 0);
    this.#recents.push({ seq: logReport.seq, report, device, previousSeq, atMs, latestMs });
    this.#bytes += entryBytes + report.length;
    this.#expire(atMs);
  }

  /** Drops what is too old, or too much. */
  #expire(nowMs: number): void {
    const oldestMs = nowMs - this.#ageMsMax;
    while (this.#head < this.#recents.length) {
      const first = this.#recents[this.#head]!;
      if (this.#bytes <= this.#bytesMax && first.atMs >= oldestMs) break;
      this.#bytes -= entryBytes + first.report.length;
      this.#from = first.seq + 1;
      if (first.device.recentSeq === first.seq) first.device.recentSeq = -1;
      this.#recents[this.#head++] = gone;
    }
    if (this.#head < 1_024 || this.#head * 2 < this.#recents.length) return;
    this.#recents.splice(0, this.#head);
    this.#head = 0;
  }

  /** Reports of one device from a position on, oldest first. */
  ofDevice(device: WindowDevice, from: number): Recent[] {
    const found: Recent[] = [];
    for (let seq = device.recentSeq; seq >= from && seq >= this.#from; ) {
      const recent = this.#at(seq);
      if (recent === undefined) break;
      found.push(recent);
      seq = recent.previousSeq;
    }
    return found.reverse();
  }

  /** All reports from a position on, oldest first. */
  *since(from: number): Iterable<Recent> {
    for (let i = this.#indexOf('seq', from); i < this.#recents.length; i++) yield this.#recents[i]!;
  }

  /**
   * Returns the position of the first report that was appended at `timeMs` or later, `next` where none was. Undefined
   * where the window does not reach back so far.
   */
  positionAt(timeMs: number, next: number): number | undefined {
    const oldest = this.#recents[this.#head];
    if (oldest === undefined || oldest.latestMs >= timeMs) return undefined;
    return this.#recents[this.#indexOf('latestMs', timeMs)]?.seq ?? next;
  }

  #at(seq: number): Recent | undefined {
    const recent = this.#recents[this.#indexOf('seq', seq)];
    return recent?.seq === seq ? recent : undefined;
  }

  /** Returns the index of the first report whose `key`, which never falls, is at least `value`. Positions have gaps. */
  #indexOf(key: 'seq' | 'latestMs', value: number): number {
    let low = this.#head;
    let high = this.#recents.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#recents[middle]![key] < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
