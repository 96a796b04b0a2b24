import type { Report } from '@tailrace/protocol/report';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { effectiveTime } from '@tailrace/protocol/source-time';
import { type Packed, unpacked } from './log-report.ts';

/** A report that holds the last value of a tag. */
export interface KeptReport {
  readonly seq: number;
  readonly report: Packed;
}

interface IndexedReport extends KeptReport {
  /** Tags whose last value it has. */
  tags: number;
}

interface Entry {
  kept: IndexedReport;
  /** Effective time of the value, epoch ms. */
  timeMs: number;
}

/** What an entry takes in the heap, with its place in the map; measured. */
const indexedTagBytes = 80;

/**
 * The last values of a device of many tags, or of few that come in turns: a report costs what its own tags cost,
 * however many the device has had.
 *
 * A report stays for as long as it holds the last value of a tag. Tags lie in the order in which they were reported
 * last, so that the one to forget first is at the front.
 */
export class TagIndex {
  /** Of the reports, and what it takes to find them. */
  bytes = 0;
  readonly #tags = new Map<string, Entry>();
  /** By position. */
  readonly #reports = new Set<IndexedReport>();
  readonly #reportBytes: (report: Packed) => number;

  /** `reportBytes`: what keeping a report takes. */
  constructor(reportBytes: (report: Packed) => number) {
    this.#reportBytes = reportBytes;
  }

  get tags(): number {
    return this.#tags.size;
  }

  get size(): number {
    return this.#reports.size;
  }

  /** By position, oldest first. */
  reports(): Iterable<KeptReport> {
    return this.#reports;
  }

  /** What was known before there was an index; by position. The times of all its tags, or of each. */
  adopt(kept: KeptReport, tags: readonly string[], times: number | readonly number[]): void {
    const adopted = { seq: kept.seq, report: kept.report, tags: tags.length };
    this.#reports.add(adopted);
    this.bytes += this.#reportBytes(kept.report) + tags.length * indexedTagBytes;
    for (const [i, tag] of tags.entries()) {
      this.#tags.set(tag, { kept: adopted, timeMs: typeof times === 'number' ? times : times[i]! });
    }
  }

  /** A report of a position after all others. Whether it holds the last value of a tag now. */
  keep(seq: number, decoded: Report, report: Packed): boolean {
    const added: IndexedReport = { seq, report, tags: 0 };
    const { readings } = decoded;
    for (let i = 0; i < readings.length; i++) {
      const { tag, time } = readings[i]!;
      const timeMs = effectiveTime(decoded, time);
      const entry = this.#tags.get(tag);
      if (entry === undefined) {
        this.#tags.set(tag, { kept: added, timeMs });
        this.bytes += indexedTagBytes;
        added.tags++;
        continue;
      }
      this.#tags.delete(tag);
      this.#tags.set(tag, entry);
      if (timeMs < entry.timeMs) continue;
      entry.timeMs = timeMs;
      if (entry.kept === added) continue;
      this.#release(entry.kept);
      entry.kept = added;
      added.tags++;
    }
    if (added.tags === 0) return false;
    this.#reports.add(added);
    this.bytes += this.#reportBytes(report);
    return true;
  }

  /** Forgets the tag reported longest ago. */
  forgetTag(): void {
    for (const [tag, { kept }] of this.#tags) {
      this.#tags.delete(tag);
      this.bytes -= indexedTagBytes;
      this.#release(kept);
      return;
    }
  }

  /** Forgets the oldest report. Answers how many tags that were. */
  forgetReport(): number {
    for (const kept of this.#reports) {
      const { tags } = kept;
      this.#reports.delete(kept);
      this.bytes -= this.#reportBytes(kept.report) + tags * indexedTagBytes;
      for (const { tag } of decodeReport(unpacked(kept.report), true).readings) {
        if (this.#tags.get(tag)?.kept === kept) this.#tags.delete(tag);
      }
      return tags;
    }
    return 0;
  }

  #release(kept: IndexedReport): void {
    if (--kept.tags > 0) return;
    this.#reports.delete(kept);
    this.bytes -= this.#reportBytes(kept.report);
  }
}
