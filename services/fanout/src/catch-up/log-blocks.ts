import { type EventLog, type LogRecord, recordEnd, unreadableRecord } from '@tailrace/eventlog/event-log';
import { firstIndex } from '@tailrace/platform/first-index';
import { awaited, type Coroutine } from './coroutine.ts';

/** Memory of a record beside its key and value, bytes. */
const recordOverheadBytes = 200;
/** Maximum size of a block; a single read of the log may be larger. */
const blockBytes = 64 * 1_024;
/**
 * A read starts at a multiple of as many positions as have this many bytes, so that readers of nearly the same range
 * share it.
 */
const alignBytes = 16 * 1_024;
const alignPositionsMax = 64;

/** Consecutive positions of one partition. */
interface Block {
  readonly cached: PartitionBlocks;
  readonly start: number;
  /** The end of the block, exclusive. */
  until: number;
  readonly records: LogRecord[];
  bytes: number;
  /** Whether there is a readable record at every position. */
  isWhole: boolean;
  /** The first records of a whole block by key, `indexed` of them; created with the first read of some keys. */
  readonly byKey: Map<string, LogRecord[]>;
  indexed: number;
}

/** A part of a range. */
export interface BlockPart {
  /** Oldest first. */
  readonly records: readonly LogRecord[];
  /** The position of the next read. */
  readonly next: number;
  /** Whether there is a readable record at every position. Then `records` has the selected ones only. */
  readonly isWhole: boolean;
}

/** The blocks of one partition. */
interface PartitionBlocks {
  /** Oldest first; they do not overlap. */
  readonly blocks: Block[];
  /** The read in progress; never rejects. One at a time: most concurrent readers need what it returns. */
  reading: Promise<void> | undefined;
  /** Bytes of a record, smoothed; 0: unknown. */
  recordBytes: number;
}

/**
 * Reads ranges of one topic in cached blocks: many clients that reconnect at once read nearly the same range, and it is
 * read once. Limited by bytes: the least recently used block is dropped first. The block at the end of a read grows, so
 * that a later reader waits only for what was appended since.
 *
 * A log in this process is read within the step, a little at a time, so that the scheduler decides when.
 */
export class LogBlocks {
  /** Reads of the log, and reads from a cached block. */
  readonly counts = { read: 0, shared: 0 };
  bytes = 0;
  readonly bytesMax: number;
  readonly #eventLog: Pick<EventLog, 'read'>;
  readonly #topic: string;
  readonly #byPartition = new Map<number, PartitionBlocks>();
  /** Least recently used first. */
  readonly #used = new Set<Block>();

  constructor(eventLog: Pick<EventLog, 'read'>, topic: string, bytesMax: number) {
    this.#eventLog = eventLog;
    this.#topic = topic;
    this.bytesMax = bytesMax;
  }

  /**
   * Returns the records from `from` up to `until`, exclusive, as far as they are in one block. `until` is not beyond
   * the end of the partition. `covers` selects records by key: of many devices, a client needs a few, and they are
   * found without a visit to each record. Throws if the log cannot be read.
   */
  *read(partition: number, from: number, until: number, covers: (key: string) => boolean): Coroutine<BlockPart> {
    const cached = this.#cachedOf(partition);
    for (let isShared = true; ; ) {
      const block = cached.blocks[indexBefore(cached, from)];
      if (block !== undefined && block.until > from) {
        if (isShared) this.counts.shared++;
        this.#use(block);
        const next = Math.min(block.until, until);
        const records = block.isWhole ? selected(block, from, next, covers) : within(block.records, from, next);
        return { records, next, isWhole: block.isWhole };
      }
      if (cached.reading !== undefined) yield cached.reading;
      else {
        isShared = false;
        yield* awaited(this.#fetch(cached, partition, from, until));
      }
    }
  }

  /** Reads once. A log in this process is read before this returns. */
  #fetch(cached: PartitionBlocks, partition: number, from: number, until: number): Promise<void> {
    this.counts.read++;
    const at = indexBefore(cached, from);
    const start = Math.max(alignedStart(cached, from), cached.blocks[at]?.until ?? 0);
    const end = Math.min(until, cached.blocks[at + 1]?.start ?? until);
    const range = { from: start, until: end, background: true };
    const iterator = this.#eventLog.read(this.#topic, partition, range)[Symbol.asyncIterator]();
    const reading = iterator.next().then(
      ({ done, value }) => {
        cached.reading = undefined;
        this.#add(cached, start, end, done === true ? [] : value);
        iterator.return?.()?.catch(() => undefined);
      },
      (thrown: unknown) => {
        cached.reading = undefined;
        throw thrown;
      },
    );
    cached.reading = reading.catch(() => undefined);
    return reading;
  }

  #add(cached: PartitionBlocks, start: number, end: number, records: readonly LogRecord[]): void {
    const last = records.at(-1);
    const until = last === undefined ? end : Math.min(end, recordEnd(last));
    let bytes = 0;
    for (const { key, value } of records) bytes += key.length + value.length + recordOverheadBytes;
    if (records.length > 0) cached.recordBytes += (bytes / records.length - cached.recordBytes) / 4;
    const at = indexBefore(cached, start);
    const before = cached.blocks[at];
    let block = before;
    if (block === undefined || block.until !== start || block.bytes + bytes > blockBytes) {
      block = { cached, start, until: start, records: [], bytes: 0, isWhole: true, byKey: new Map(), indexed: 0 };
      cached.blocks.splice(at + 1, 0, block);
    }
    // Copies, because a slice keeps the whole response in memory.
    for (const record of records) block.records.push({ ...record, value: new Uint8Array(record.value) });
    block.isWhole &&= isWhole(records, block.until, until);
    block.until = until;
    block.bytes += bytes;
    this.bytes += bytes;
    this.#use(block);
    for (const oldest of this.#used) {
      if (this.bytes <= this.bytesMax || oldest === block) break;
      this.#drop(oldest);
    }
  }

  #use(block: Block): void {
    this.#used.delete(block);
    this.#used.add(block);
  }

  #drop(block: Block): void {
    const { blocks } = block.cached;
    this.#used.delete(block);
    blocks.splice(indexBefore(block.cached, block.start), 1);
    this.bytes -= block.bytes;
  }

  #cachedOf(partition: number): PartitionBlocks {
    let cached = this.#byPartition.get(partition);
    if (cached === undefined) {
      cached = { blocks: [], reading: undefined, recordBytes: 0 };
      this.#byPartition.set(partition, cached);
    }
    return cached;
  }
}

/** Returns the index of the last block that starts at or before a position; -1: none. */
function indexBefore({ blocks }: PartitionBlocks, seq: number): number {
  return firstIndex(0, blocks.length, (i) => blocks[i]!.start > seq) - 1;
}

function alignedStart({ recordBytes }: PartitionBlocks, from: number): number {
  const positions =
    recordBytes === 0 ? 1 : Math.max(1, Math.min(alignPositionsMax, Math.floor(alignBytes / recordBytes)));
  return from - (from % positions);
}

/** Whether there is a readable record at every position from `from` up to `until`, exclusive. */
function isWhole(records: readonly LogRecord[], from: number, until: number): boolean {
  if (records.length !== until - from) return false;
  return records.every(
    ({ seq, unreadable, emptyUntil }, i) => seq === from + i && unreadable === undefined && emptyUntil === undefined,
  );
}

/** Returns the records of a range of a whole block with the keys that `covers` selects, oldest first. */
function selected(block: Block, from: number, until: number, covers: (key: string) => boolean): LogRecord[] {
  const { records, byKey, start } = block;
  for (; block.indexed < records.length; block.indexed++) {
    const record = records[block.indexed]!;
    const list = byKey.get(record.key);
    if (list === undefined) byKey.set(record.key, [record]);
    else list.push(record);
  }
  const isAll = from === start && until === block.until;
  const some: LogRecord[] = [];
  let keys = 0;
  for (const [key, list] of byKey) {
    if (!covers(key)) continue;
    keys++;
    if (isAll) some.push(...list);
    else for (const record of list) if (record.seq >= from && record.seq < until) some.push(record);
  }
  return keys > 1 ? some.sort((one, other) => one.seq - other.seq) : some;
}

/**
 * Returns the records of a range. Unreadable positions may start before it and continue beyond it: they are limited to
 * it.
 */
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

/** Returns the index of the first record at or after a position. */
function indexOf(records: readonly LogRecord[], seq: number): number {
  return firstIndex(0, records.length, (i) => records[i]!.seq >= seq);
}
