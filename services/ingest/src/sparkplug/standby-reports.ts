import type { PendingReport } from './pending-report.ts';

/** How long reports are kept for a change of the owner: longer than it takes to notice that an owner is gone. */
export const standbyMs = 10_000;
export const standbyBytesMax = 8 * 1024 * 1024;
const overheadBytes = 200;

/**
 * The last reports of edge nodes that another node of ingest owns. If the owner is gone, this node appends them: those
 * that were in the log have the same message ID, and are delivered once.
 */
export class StandbyReports {
  bytes = 0;
  /** Reports that were dropped at the limit. */
  dropped = 0;
  #reports: PendingReport[] = [];
  #receivedMs: number[] = [];
  /** Index of the first one that is kept. */
  #first = 0;

  get size(): number {
    return this.#reports.length - this.#first;
  }

  add(report: PendingReport, nowMs: number): void {
    this.#reports.push(report);
    this.#receivedMs.push(nowMs);
    this.bytes += bytesOf(report);
    while (this.bytes > standbyBytesMax) {
      this.dropped++;
      this.#dropFirst();
    }
  }

  /** Drops what is older than `standbyMs`. */
  expire(nowMs: number): void {
    while (this.size > 0 && nowMs - this.#receivedMs[this.#first]! > standbyMs) this.#dropFirst();
  }

  /** Removes and returns the reports of the nodes that `isOwn` selects, oldest first. */
  take(isOwn: (report: PendingReport) => boolean, nowMs: number): readonly PendingReport[] {
    this.expire(nowMs);
    const taken: PendingReport[] = [];
    const left: PendingReport[] = [];
    const leftMs: number[] = [];
    for (let index = this.#first; index < this.#reports.length; index++) {
      const report = this.#reports[index]!;
      if (isOwn(report)) {
        taken.push(report);
        this.bytes -= bytesOf(report);
      } else {
        left.push(report);
        leftMs.push(this.#receivedMs[index]!);
      }
    }
    this.#reports = left;
    this.#receivedMs = leftMs;
    this.#first = 0;
    return taken;
  }

  #dropFirst(): void {
    this.bytes -= bytesOf(this.#reports[this.#first]!);
    this.#first++;
    // Only from time to time, so that each report is moved once on average.
    if (this.#first * 2 < this.#reports.length) return;
    this.#reports = this.#reports.slice(this.#first);
    this.#receivedMs = this.#receivedMs.slice(this.#first);
    this.#first = 0;
  }
}

function bytesOf({ record }: PendingReport): number {
  return record.value.length + overheadBytes;
}
