import { type EventLog, type LogRecord, unreadableRecord } from '@tailrace/eventlog/eventlog';

/** A thousand records of some 300 B: one fetch, and few enough that what is read beside the wanted ones costs little. */
const blockRecords = 1_000;

interface Block {
  readonly start: number;
  readonly records: LogRecord[];
  /** Everything before is there. */
  until: number;
  /** Readings of what was missing at its end, one after the other. */
  growth: Promise<void>;
}

/**
 * Ranges of one topic, read in blocks that are remembered: many clients that come back at once ask for nearly the same, and it is read once. The last
 * block grows: who asks a moment later has only what has come since to wait for.
 */
export class LogBlocks {
  /** Readings of the log, and blocks that had all that was asked for. */
  readonly counts = { read: 0, shared: 0 };
  readonly #log: Pick<EventLog, 'read'>;
  readonly #topic: string;
  readonly #blocksMax: number;
  readonly #blocks = new Map<string, Block>();

  constructor(log: Pick<EventLog, 'read'>, topic: string, blocksMax: number) {
    this.#log = log;
    this.#topic = topic;
    this.#blocksMax = blocksMax;
  }

  /** Records with `from <= seq < until` that the log still has, oldest first, a block at a time. `until` is not beyond the end of the partition. */
  async *read(partition: number, from: number, until: number): AsyncIterable<readonly LogRecord[]> {
    for (let start = from - (from % blockRecords); start < until; start += blockRecords) {
      const records = await this.#block(partition, start, Math.min(start + blockRecords, until));
      const wanted = within(records, from, until);
      if (wanted.length > 0) yield wanted;
    }
  }

  /** As `read`, of the one block in which `from` lies, and where the next one begins. */
  async piece(
    partition: number,
    from: number,
    until: number,
  ): Promise<{ readonly records: readonly LogRecord[]; readonly next: number }> {
    const start = from - (from % blockRecords);
    const next = Math.min(start + blockRecords, until);
    const records = await this.#block(partition, start, next);
    return { records: within(records, from, next), next };
  }

  async #block(partition: number, start: number, end: number): Promise<readonly LogRecord[]> {
    const block = this.#known(partition, start);
    if (block.until >= end) {
      this.counts.shared++;
      return block.records;
    }
    const before = block.growth;
    const grown = async () => {
      // Who asked before may have failed: then it is tried again from where the block ends.
      await before.catch(() => undefined);
      if (block.until >= end) this.counts.shared++;
      else await this.#grow(block, partition, end);
    };
    block.growth = grown();
    await block.growth;
    return block.records;
  }

  async #grow(block: Block, partition: number, end: number): Promise<void> {
    let records = await this.#records(partition, block.until, end);
    // Retention has come further than the block: with what was read before there would be a hole in it, which nobody could tell from one that was always there.
    if (block.until > block.start && records[0]?.seq !== block.until) {
      records = await this.#records(partition, block.start, end);
      block.records.length = 0;
    }
    for (const record of records) block.records.push(record);
    block.until = end;
  }

  async #records(partition: number, from: number, until: number): Promise<LogRecord[]> {
    this.counts.read++;
    const records: LogRecord[] = [];
    for await (const batch of this.#log.read(this.#topic, partition, { from, until })) {
      // Copies: slices of a fetch would keep all of it.
      for (const record of batch) records.push({ ...record, value: new Uint8Array(record.value) });
    }
    return records;
  }

  #known(partition: number, start: number): Block {
    const key = `${partition} ${start}`;
    let block = this.#blocks.get(key);
    if (block !== undefined) return block;
    block = { start, records: [], until: start, growth: Promise.resolve() };
    this.#blocks.set(key, block);
    if (this.#blocks.size > this.#blocksMax) {
      const oldest = this.#blocks.keys().next();
      if (!oldest.done) this.#blocks.delete(oldest.value);
    }
    return block;
  }
}

/** Those from a position on up to another, exclusive. What the log cannot read may begin before, and end after. */
function within(records: readonly LogRecord[], from: number, until: number): readonly LogRecord[] {
  const first = indexOf(records, from);
  const some = records.slice(first, indexOf(records, until));
  const last = some.at(-1);
  if (last?.unreadable !== undefined && last.unreadable.until > until) {
    some[some.length - 1] = unreadableRecord(last.seq, { ...last.unreadable, until });
  }
  const before = records[first - 1]?.unreadable;
  if (before === undefined || before.until <= from) return some;
  return [unreadableRecord(from, { ...before, until: Math.min(before.until, until) }), ...some];
}

/** Of the first record at or after a position. */
function indexOf(records: readonly LogRecord[], seq: number): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (records[middle]!.seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
