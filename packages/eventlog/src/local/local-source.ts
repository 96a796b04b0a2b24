import { TailraceError } from '@tailrace/protocol/error';
import type { Source } from '../group-ports.ts';
import type { RecordBuffer, RecordQueue } from '../record-buffer.ts';
import { bytesOf } from './record-list.ts';
import type { PartitionEnds, Store, StoredTopic } from './store.ts';

export interface LocalSourceOptions {
  readonly store: Store;
  readonly topics: readonly StoredTopic[];
  readonly buffer: RecordBuffer;
  schedule(call: () => void): void;
  report(error: unknown): void;
}

/** How far a partition was read into its queue. */
interface Cursor {
  readonly queue: RecordQueue;
  readonly topic: StoredTopic;
  readonly ends: PartitionEnds;
  /** The next position to read. */
  seq: number;
}

/** In one turn of the event loop: a long backlog must not keep the process from its sockets. */
const turnRecordsMax = 500;
const turnBytesMax = 1_000_000;

/**
 * Reads a store of this process into the buffer of a member: new records when the log has them, a backlog some records
 * a turn, as long as there is room.
 */
export class LocalSource implements Source {
  readonly #options: LocalSourceOptions;
  #cursors: Cursor[] = [];
  /** A later turn goes on. */
  #isContinuing = false;
  #turn = 0;

  constructor(options: LocalSourceOptions) {
    this.#options = options;
  }

  async firstPositions(topic: string): Promise<readonly number[]> {
    return this.#topic(topic).partitions.map(({ first }) => first);
  }

  start(queue: RecordQueue, position: number): void {
    const topic = this.#topic(queue.topic);
    const ends = topic.partitions[queue.partition]!;
    const { first, next } = ends;
    if (position > next) {
      // Of another epoch, or of a log that was restored from an older copy. Kafka too starts at the first one then.
      const what = `position ${position} of ${queue.topic}/${queue.partition}: expected ${first} to ${next}`;
      this.#options.report(new TailraceError('invalid_position', `${what}; reading starts at ${first}`));
    }
    this.#cursors.push({ queue, topic, ends, seq: position > next ? first : Math.max(position, first) });
    this.wake();
  }

  stop(queue: RecordQueue): void {
    this.#cursors = this.#cursors.filter((cursor) => cursor.queue !== queue);
  }

  close(): void {
    this.#cursors = [];
  }

  /** There may be new records. */
  wake(): void {
    if (!this.#isContinuing) this.fill();
  }

  /** Reads what there is, as much as one turn may. */
  protected fill(): void {
    const { buffer } = this.#options;
    const ready = this.#cursors.filter(({ seq, ends }) => seq < ends.next);
    let recordsLeft = turnRecordsMax;
    let bytesLeft = turnBytesMax;
    this.#turn++;
    for (let n = 0; n < ready.length && buffer.hasRoom() && recordsLeft > 0; n++) {
      // Another first one each time, each its share: where there is room for few, all have their turn.
      const cursor = ready[(this.#turn + n) % ready.length]!;
      const share = ready.length - n;
      const taken = this.#read(cursor, Math.ceil(recordsLeft / share), Math.ceil(Math.max(0, bytesLeft) / share));
      recordsLeft -= taken.records;
      bytesLeft -= taken.bytes;
    }
    if (!ready.some(({ seq, ends }) => seq < ends.next)) return;
    this.#isContinuing = true;
    if (buffer.hasRoom()) this.#options.schedule(this.#continue);
    else void buffer.whenRoom().then(this.#continue);
  }

  readonly #continue = (): void => {
    this.#isContinuing = false;
    this.fill();
  };

  #read(cursor: Cursor, recordsMax: number, bytesMax: number): { readonly records: number; readonly bytes: number } {
    const { topic, queue, ends, seq: from } = cursor;
    const range = { from, until: ends.next, recordsMax, bytesMax };
    const records = this.#options.store.slice(topic, queue.partition, range);
    if (records.length === 0) {
      cursor.seq = ends.next;
      return { records: 0, bytes: 0 };
    }
    let bytes = 0;
    for (const record of records) bytes += bytesOf(record);
    const taken = this.#options.buffer.push(queue, records, bytes);
    cursor.seq = taken === records.length ? records[taken - 1]!.seq + 1 : records[taken]!.seq;
    return { records: taken, bytes };
  }

  #topic(name: string): StoredTopic {
    return this.#options.topics.find(({ info }) => info.name === name)!;
  }
}
