import type { EventLog, LogRecord } from '@tailrace/eventlog/eventlog';

/** A thousand records of some 300 B: one fetch, and few enough that what is read beside the wanted ones costs little. */
const blockRecords = 1_000;

/**
 * Ranges of one topic, read in blocks that are remembered: many clients that come back at once ask for nearly the same, and it is read once. Blocks that are
 * not full yet are shared only while they are being read.
 */
export class LogBlocks {
  /** Blocks read from the log, and those that were there. */
  readonly counts = { read: 0, shared: 0 };
  readonly #log: Pick<EventLog, 'read'>;
  readonly #topic: string;
  readonly #blocksMax: number;
  readonly #blocks = new Map<string, Promise<readonly LogRecord[]>>();

  constructor(log: Pick<EventLog, 'read'>, topic: string, blocksMax: number) {
    this.#log = log;
    this.#topic = topic;
    this.#blocksMax = blocksMax;
  }

  /** Records with `from <= seq < until` that the log still has, oldest first. `until` is not beyond the end of the partition. */
  async *read(partition: number, from: number, until: number): AsyncIterable<LogRecord> {
    for (let start = from - (from % blockRecords); start < until; start += blockRecords) {
      for (const record of await this.#block(partition, start, Math.min(start + blockRecords, until))) {
        if (record.seq >= from && record.seq < until) yield record;
      }
    }
  }

  #block(partition: number, start: number, end: number): Promise<readonly LogRecord[]> {
    const key = `${partition} ${start} ${end}`;
    const known = this.#blocks.get(key);
    if (known !== undefined) {
      this.counts.shared++;
      return known;
    }
    this.counts.read++;
    const block = this.#records(partition, start, end);
    this.#blocks.set(key, block);
    const forget = () => this.#blocks.delete(key);
    // A block that failed is asked for anew, and one that will still grow is not worth its place.
    if (end - start < blockRecords) block.then(forget, forget);
    else block.catch(forget);
    if (this.#blocks.size > this.#blocksMax) {
      const oldest = this.#blocks.keys().next();
      if (!oldest.done) this.#blocks.delete(oldest.value);
    }
    return block;
  }

  async #records(partition: number, from: number, until: number): Promise<readonly LogRecord[]> {
    const records: LogRecord[] = [];
    for await (const batch of this.#log.read(this.#topic, partition, { from, until })) {
      // Copies: slices of a fetch would keep all of it.
      for (const record of batch) records.push({ ...record, value: record.value.slice() });
    }
    return records;
  }
}
