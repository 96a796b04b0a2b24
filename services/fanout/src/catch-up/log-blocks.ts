import { type EventLog, type LogRecord, recordEnd, unreadableRecord } from '@tailrace/eventlog/event-log';
import { awaited, type Steps } from './steps.ts';

/** What a record takes beside its key and its value. */
const recordOverheadBytes = 200;
/** A block grows to so much; one reading of the log may be more. */
const blockBytes = 64 * 1_024;
/**
 * Reading begins at a multiple of so many positions, where that many small records lie before: who asks for nearly
 * the same shares it.
 */
const alignBytes = 16 * 1_024;
const alignPositionsMax = 64;

/** Consecutive positions of one partition. */
interface Block {
  readonly shelf: Shelf;
  readonly start: number;
  /** Everything before is there. */
  until: number;
  readonly records: LogRecord[];
  bytes: number;
}

/** What is remembered of one partition. */
interface Shelf {
  /** Oldest first, none over another. */
  readonly blocks: Block[];
  /** The reading under way; never rejects. One at a time: who asks meanwhile mostly wants what it brings. */
  reading: Promise<void> | undefined;
  /** Of a record, smoothed; 0: not known yet. */
  recordBytes: number;
}

/**
 * Ranges of one topic, read in blocks that are remembered: many clients that come back at once ask for nearly the
 * same, and it is read once. Bounded by bytes: what was used longest ago is forgotten first. A block at the end of
 * what was read grows: who asks a moment later has only what has come since to wait for.
 *
 * A log in this process is read in the very step that asks, a little at a time, so that the scheduler decides when.
 */
export class LogBlocks {
  /** Readings of the log, and pieces that were at hand. */
  readonly counts = { read: 0, shared: 0 };
  bytes = 0;
  readonly bytesMax: number;
  readonly #eventLog: Pick<EventLog, 'read'>;
  readonly #topic: string;
  readonly #shelves = new Map<number, Shelf>();
  /** Least recently used first. */
  readonly #used = new Set<Block>();

  constructor(eventLog: Pick<EventLog, 'read'>, topic: string, bytesMax: number) {
    this.#eventLog = eventLog;
    this.#topic = topic;
    this.bytesMax = bytesMax;
  }

  /**
   * Records from `from` on, before `until`, as many as lie in one block, and where the next piece begins. `until` is
   * not beyond the end of the partition. Throws where the log cannot be read.
   */
  *piece(
    partition: number,
    from: number,
    until: number,
  ): Steps<{ readonly records: readonly LogRecord[]; readonly next: number }> {
    const shelf = this.#shelf(partition);
    for (let isShared = true; ; ) {
      const block = shelf.blocks[indexBefore(shelf, from)];
      if (block !== undefined && block.until > from) {
        if (isShared) this.counts.shared++;
        this.#use(block);
        const next = Math.min(block.until, until);
        return { records: within(block.records, from, next), next };
      }
      if (shelf.reading !== undefined) yield shelf.reading;
      else {
        isShared = false;
        yield* awaited(this.#read(shelf, partition, from, until));
      }
    }
  }

  /** One reading. A log in this process is read before this returns. */
  #read(shelf: Shelf, partition: number, from: number, until: number): Promise<void> {
    this.counts.read++;
    const at = indexBefore(shelf, from);
    const start = Math.max(alignedStart(shelf, from), shelf.blocks[at]?.until ?? 0);
    const end = Math.min(until, shelf.blocks[at + 1]?.start ?? until);
    const range = { from: start, until: end, background: true };
    const iterator = this.#eventLog.read(this.#topic, partition, range)[Symbol.asyncIterator]();
    const reading = iterator.next().then(
      ({ done, value }) => {
        shelf.reading = undefined;
        this.#add(shelf, start, end, done === true ? [] : value);
        iterator.return?.()?.catch(() => undefined);
      },
      (thrown: unknown) => {
        shelf.reading = undefined;
        throw thrown;
      },
    );
    shelf.reading = reading.catch(() => undefined);
    return reading;
  }

  #add(shelf: Shelf, start: number, end: number, records: readonly LogRecord[]): void {
    const last = records.at(-1);
    const until = last === undefined ? end : Math.min(end, recordEnd(last));
    let bytes = 0;
    for (const { key, value } of records) bytes += key.length + value.length + recordOverheadBytes;
    if (records.length > 0) shelf.recordBytes += (bytes / records.length - shelf.recordBytes) / 4;
    const at = indexBefore(shelf, start);
    const before = shelf.blocks[at];
    let block = before;
    if (block === undefined || block.until !== start || block.bytes + bytes > blockBytes) {
      block = { shelf, start, until, records: [], bytes: 0 };
      shelf.blocks.splice(at + 1, 0, block);
    }
    // Copies: slices of an answer would keep all of it.
    for (const record of records) block.records.push({ ...record, value: new Uint8Array(record.value) });
    block.until = until;
    block.bytes += bytes;
    this.bytes += bytes;
    this.#use(block);
    for (const oldest of this.#used) {
      if (this.bytes <= this.bytesMax || oldest === block) break;
      this.#forget(oldest);
    }
  }

  #use(block: Block): void {
    this.#used.delete(block);
    this.#used.add(block);
  }

  #forget(block: Block): void {
    const { blocks } = block.shelf;
    this.#used.delete(block);
    blocks.splice(indexBefore(block.shelf, block.start), 1);
    this.bytes -= block.bytes;
  }

  #shelf(partition: number): Shelf {
    let shelf = this.#shelves.get(partition);
    if (shelf === undefined) {
      shelf = { blocks: [], reading: undefined, recordBytes: 0 };
      this.#shelves.set(partition, shelf);
    }
    return shelf;
  }
}

/** Of the last block that begins at a position or before; -1: none. */
function indexBefore({ blocks }: Shelf, seq: number): number {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (blocks[middle]!.start <= seq) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function alignedStart({ recordBytes }: Shelf, from: number): number {
  const positions =
    recordBytes === 0 ? 1 : Math.max(1, Math.min(alignPositionsMax, Math.floor(alignBytes / recordBytes)));
  return from - (from % positions);
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
