import { firstIndex } from '@tailrace/platform/first-index';
import type { LogRecord } from '../event-log.ts';

/** Records of one partition in memory, ascending by `seq`, with possible gaps. Fast at both sides. */
export class RecordList {
  #records: LogRecord[] = [];
  // Records before it are dropped: removing them from the array one by one would move all the others each time.
  #head = 0;
  #bytes = 0;

  get length(): number {
    return this.#records.length - this.#head;
  }

  /** The sum of `bytesOf` over all records. */
  get bytes(): number {
    return this.#bytes;
  }

  at(index: number): LogRecord | undefined {
    return this.#records[this.#head + index];
  }

  push(record: LogRecord): void {
    this.#records.push(record);
    this.#bytes += bytesOf(record);
  }

  /** Drops the first `count` records. */
  drop(count: number): void {
    const end = Math.min(this.#head + count, this.#records.length);
    for (let n = this.#head; n < end; n++) this.#bytes -= bytesOf(this.#records[n]!);
    this.#head = end;
    // Copied when at least half is dropped: constant cost per record, and dropped records are not reachable for long.
    if (this.#head * 2 < this.#records.length) return;
    this.#records = this.#records.slice(this.#head);
    this.#head = 0;
  }

  clear(): void {
    this.drop(this.length);
  }

  /** Keeps the records for which `keeps` returns true. */
  filter(keeps: (record: LogRecord) => boolean): void {
    this.#records = this.#records.slice(this.#head).filter(keeps);
    this.#head = 0;
    this.#bytes = 0;
    for (const record of this.#records) this.#bytes += bytesOf(record);
  }

  /** Returns the index of the first record at `seq` or later; `length` if there is none. */
  indexOf(seq: number): number {
    return this.#search((record) => record.seq >= seq);
  }

  /** Returns the index of the first record of `timeMs` or later. Times do not decrease within a partition. */
  indexAt(timeMs: number): number {
    return this.#search((record) => record.timeMs >= timeMs);
  }

  slice(from: number, until: number, recordsMax: number, bytesMax: number): LogRecord[] {
    const start = this.#head + this.indexOf(from);
    const limit = Math.min(this.#records.length, start + recordsMax);
    let end = start;
    let bytes = 0;
    while (end < limit && this.#records[end]!.seq < until) {
      bytes += bytesOf(this.#records[end]!);
      if (bytes > bytesMax && end > start) break;
      end++;
    }
    return this.#records.slice(start, end);
  }

  #search(matches: (record: LogRecord) => boolean): number {
    return firstIndex(this.#head, this.#records.length, (i) => matches(this.#records[i]!)) - this.#head;
  }
}

/** Returns the size of a record against a limit in bytes: its value, its key and a constant. */
export function bytesOf(record: LogRecord): number {
  return record.value.length + record.key.length + 64;
}
