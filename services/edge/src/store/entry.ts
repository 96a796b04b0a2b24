import type { Report } from '@tailrace/protocol/report';
import { encodeReport } from '@tailrace/protocol/report-proto';
import type { LostReports } from './loss.ts';

/** A report that waits to be acknowledged. */
export interface Entry {
  /** Its place: entries are sent in the order of their numbers. */
  number: number;
  /** Protobuf `Report`, with its ID. */
  readonly report: Uint8Array;
  readonly readings: number;
  /** Least and greatest source time of its readings, epoch ms. */
  readonly from: number;
  readonly until: number;
}

/** Bounds of what is sent or written together. */
export interface BatchLimits {
  /** With the report of a loss; 2 at least, so that an entry has a place beside it. */
  readonly reportsMax: number;
  /** Encoded reports. A larger report is a batch of its own. */
  readonly bytesMax: number;
}

/** Reports that are sent together. */
export interface Batch {
  /** The same for the same entries, also after the link was lost. At most 40 characters. */
  readonly id: string;
  readonly queue: 'live' | 'backlog';
  /** Ascending. */
  readonly entries: readonly Entry[];
  /** The encoded report of a loss, to be sent before the entries. */
  readonly loss: Uint8Array | undefined;
  /** The ID of that report; '' for none. */
  readonly lossId: string;
  readonly readings: number;
  readonly bytes: number;
  readonly isOnDisk: boolean;
}

/** Readings, from, until: so that a report that is dropped is counted without decoding it. */
const headBytes = 20;

/** Bytes that an entry counts with, in memory and on disk. */
export function entryBytes({ report }: Entry): number {
  return headBytes + report.length;
}

export function entryFrom(number: number, report: Report): Entry {
  let from = report.time;
  let until = report.time;
  for (const { time } of report.readings) {
    if (time === undefined) continue;
    if (time < from) from = time;
    if (time > until) until = time;
  }
  return { number, report: encodeReport(report), readings: report.readings.length, from, until };
}

/** Returns the value of an entry on disk. */
export function storedEntry({ report, readings, from, until }: Entry): Buffer {
  const value = Buffer.allocUnsafe(headBytes + report.length);
  value.writeUInt32LE(readings, 0);
  value.writeDoubleLE(from, 4);
  value.writeDoubleLE(until, 12);
  value.set(report, headBytes);
  return value;
}

/** Returns an entry of the disk; undefined for a value that is damaged. */
export function entryFromStored(number: number, value: Buffer): Entry | undefined {
  if (value.length <= headBytes) return undefined;
  const report = value.subarray(headBytes);
  return {
    number,
    report,
    readings: value.readUInt32LE(0),
    from: value.readDoubleLE(4),
    until: value.readDoubleLE(12),
  };
}

/** Returns how many entries with numbers below `until` fit; one at least, if there is one. */
export function fittingCount(entries: readonly Entry[], until: number, { reportsMax, bytesMax }: BatchLimits): number {
  let bytes = 0;
  let count = 0;
  for (const { number, report } of entries) {
    bytes += report.length;
    if (number >= until || count === reportsMax || (bytes > bytesMax && count > 0)) break;
    count++;
  }
  return count;
}

/** Merges two lists in the order of numbers. */
export function merged(a: readonly Entry[], b: readonly Entry[]): Entry[] {
  if (a.length === 0) return [...b];
  if (b.length === 0 || a.at(-1)!.number < b[0]!.number) return [...a, ...b];
  return [...a, ...b].sort((one, other) => one.number - other.number);
}

export function bytesOf(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  return bytes;
}

export function sumOf(entries: readonly Entry[]): LostReports {
  let readings = 0;
  let from = Number.POSITIVE_INFINITY;
  let until = 0;
  for (const entry of entries) {
    readings += entry.readings;
    from = Math.min(from, entry.from);
    until = Math.max(until, entry.until);
  }
  return { reports: entries.length, readings, from, until };
}

export function batchOf(batch: Omit<Batch, 'readings' | 'bytes'>): Batch {
  let readings = 0;
  let bytes = 0;
  for (const entry of batch.entries) {
    readings += entry.readings;
    bytes += entry.report.length;
  }
  return { ...batch, readings, bytes };
}
