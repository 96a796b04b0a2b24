import type { Report } from '@tailrace/protocol/report';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { effectiveTime } from '@tailrace/protocol/source-time';
import { type Packed, unpacked } from './log-report.ts';

/** A report with the last value of a tag. */
export interface PackedReport {
  readonly seq: number;
  readonly report: Packed;
}

interface IndexedReport extends PackedReport {
  /** Number of tags whose last value it has. */
  tags: number;
}

interface Entry {
  kept: IndexedReport;
  /** Effective time of the value, epoch ms. */
  timeMs: number;
}

/** Heap bytes of an entry with its slot in the map; measured. */
const indexedTagBytes = 80;

/**
 * The last values of a device with many tags, or with few in different reports. A report costs what its own tags cost,
 * independent of the number of tags of the device.
 *
 * A report is kept while it has the last value of a tag. Tags are in the order in which they were reported last, so the
 * one to evict first is at the front.
 */
export class TagIndex {
  /** Heap bytes of the reports and the index. */
  bytes = 0;
  readonly #tags = new Map<string, Entry>();
  /** By position. */
  readonly #reports = new Set<IndexedReport>();
  readonly #reportBytes: (report: Packed) => number;

  /** `reportBytes` returns the heap bytes of a report. */
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
  reports(): Iterable<PackedReport> {
    return this.#reports;
  }

  /**
   * Adds a report that was kept before there was an index, in the order of positions. `times`: effective time of all
   * its tags, or of each, epoch ms.
   */
  adopt(kept: PackedReport, tags: readonly string[], times: number | readonly number[]): void {
    const adopted = { seq: kept.seq, report: kept.report, tags: tags.length };
    this.#reports.add(adopted);
    this.bytes += this.#reportBytes(kept.report) + tags.length * indexedTagBytes;
    for (const [i, tag] of tags.entries()) {
      this.#tags.set(tag, { kept: adopted, timeMs: typeof times === 'number' ? times : times[i]! });
    }
  }

  /** Adds a report with a position after all others. Returns whether it has the last value of a tag. */
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

  /** Evicts the tag reported longest ago. */
  forgetTag(): void {
    for (const [tag, { kept }] of this.#tags) {
      this.#tags.delete(tag);
      this.bytes -= indexedTagBytes;
      this.#release(kept);
      return;
    }
  }

  /** Evicts the oldest report. Returns the number of its tags. */
  forgetReport(): number {
    for (const kept of this.#reports) {
      const { tags } = kept;
      this.#reports.delete(kept);
      this.bytes -= this.#reportBytes(kept.report) + tags * indexedTagBytes;
      for (const { tag } of decodeReport(unpacked(kept.report)).readings) {
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
