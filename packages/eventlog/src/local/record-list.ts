import type { LogRecord } from '../event-log.ts';

/** Records of one partition in memory, ascending by `seq`, holes allowed. Cheap at both ends. */
export class RecordList {
  #records: LogRecord[] = [];
  // Records before it are forgotten: taking them off the front one by one would move all the others each time.
  #head = 0;
  #bytes = 0;

  get length(): number {
    return this.#records.length - this.#head;
  }

  /** Sum of `bytesOf` over all records. */
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

  /** Takes off the first `count` records. */
  drop(count: number): void {
    const end = Math.min(this.#head + count, this.#records.length);
    for (let n = this.#head; n < end; n++) this.#bytes -= bytesOf(this.#records[n]!);
    this.#head = end;
    // Moved only when at least half is dead: constant cost per record. The dead must not stay reachable for longer.
    if (this.#head * 2 < this.#records.length) return;
    this.#records = this.#records.slice(this.#head);
    this.#head = 0;
  }

  clear(): void {
    this.drop(this.length);
  }

  /** Keeps the records for which `keeps` says so. */
  filter(keeps: (record: LogRecord) => boolean): void {
    this.#records = this.#records.slice(this.#head).filter(keeps);
    this.#head = 0;
    this.#bytes = 0;
    for (const record of this.#records) this.#bytes += bytesOf(record);
  }

  /** Index of the first record with `seq` or later; `length` where there is none. */
  indexOf(seq: number): number {
    return this.#search((record) => record.seq >= seq);
  }

  /** Index of the first record of `timeMs` or later; times never go back within a partition. */
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

  #search(isThere: (record: LogRecord) => boolean): number {
    let low = this.#head;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isThere(this.#records[middle]!)) high = middle;
      else low = middle + 1;
    }
    return low - this.#head;
  }
}

/** What a record counts for against a bound in bytes: its value, its key and a flat sum for the rest. */
export function bytesOf(record: LogRecord): number {
  return record.value.length + record.key.length + 64;
}
