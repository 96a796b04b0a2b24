import { TailraceError } from '@tailrace/protocol/error';
import type { Source } from '../group-ports.ts';
import type { RecordBuffer, RecordQueue } from '../record-buffer.ts';
import { bytesOf } from './record-list.ts';
import type { Store, StoredPartition, StoredTopic } from './store.ts';

export interface LocalSourceOptions {
  readonly store: Store;
  readonly topics: readonly StoredTopic[];
  readonly buffer: RecordBuffer;
  schedule(call: () => void): void;
  report(error: unknown): void;
}

/** The position up to which a partition was read into its queue. */
interface Cursor {
  readonly queue: RecordQueue;
  readonly topic: StoredTopic;
  readonly bounds: StoredPartition;
  /** The next position to read. */
  seq: number;
}

/** Most records and bytes read in one turn of the event loop, which a long backlog must not block. */
const turnRecordsMax = 500;
const turnBytesMax = 1_000_000;

/**
 * Reads a store of this process into the buffer of a member while that has capacity: new records at once, a backlog in
 * several turns of the event loop.
 */
export class LocalSource implements Source {
  readonly #options: LocalSourceOptions;
  #cursors: Cursor[] = [];
  /** Whether a later turn continues. */
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
    const bounds = topic.partitions[queue.partition]!;
    const cursor = { queue, topic, bounds, seq: position };
    // Of another epoch, or of a log that was restored from a backup. Kafka also starts at the first position then.
    if (position > bounds.next) this.#restart(cursor, 'the log was truncated or re-created');
    this.#cursors.push(cursor);
    this.wake();
  }

  stop(queue: RecordQueue): void {
    this.#cursors = this.#cursors.filter((cursor) => cursor.queue !== queue);
  }

  close(): void {
    this.#cursors = [];
  }

  /** Called when there may be new records. */
  wake(): void {
    if (!this.#isContinuing) this.fill();
  }

  /** Reads available records, up to the limits of one turn. */
  protected fill(): void {
    const { buffer } = this.#options;
    const ready = this.#cursors.filter(({ seq, bounds }) => seq < bounds.next);
    let recordsLeft = turnRecordsMax;
    let bytesLeft = turnBytesMax;
    this.#turn++;
    for (let n = 0; n < ready.length && buffer.hasCapacity() && recordsLeft > 0; n++) {
      // Each call starts at another partition, and each partition has a share: none is starved.
      const cursor = ready[(this.#turn + n) % ready.length]!;
      const share = ready.length - n;
      const taken = this.#read(cursor, Math.ceil(recordsLeft / share), Math.ceil(Math.max(0, bytesLeft) / share));
      recordsLeft -= taken.records;
      bytesLeft -= taken.bytes;
    }
    if (!ready.some(({ seq, bounds }) => seq < bounds.next)) return;
    this.#isContinuing = true;
    if (buffer.hasCapacity()) this.#options.schedule(this.#continue);
    else void buffer.whenCapacity().then(this.#continue);
  }

  readonly #continue = (): void => {
    this.#isContinuing = false;
    this.fill();
  };

  #read(cursor: Cursor, recordsMax: number, bytesMax: number): { readonly records: number; readonly bytes: number } {
    const { topic, queue, bounds } = cursor;
    // A compacted topic has no record at some positions.
    if (cursor.seq < bounds.first && topic.spec.compacted !== true)
      this.#restart(cursor, 'its records were deleted before they were read');
    const { seq: from } = cursor;
    const range = { from, until: bounds.next, recordsMax, bytesMax };
    const records = this.#options.store.slice(topic, queue.partition, range);
    if (records.length === 0) {
      cursor.seq = bounds.next;
      return { records: 0, bytes: 0 };
    }
    let bytes = 0;
    for (const record of records) bytes += bytesOf(record);
    const taken = this.#options.buffer.push(queue, records, bytes);
    cursor.seq = taken === records.length ? records[taken - 1]!.seq + 1 : records[taken]!.seq;
    return { records: taken, bytes };
  }

  /** Continues at the first position, and reports why. */
  #restart(cursor: Cursor, why: string): void {
    const { first, next } = cursor.bounds;
    const { topic, partition } = cursor.queue;
    const what = `position ${cursor.seq} of ${topic}/${partition}: expected ${first} to ${next}; ${why}`;
    cursor.seq = first;
    this.#options.report(new TailraceError('invalid_position', `${what}; reading continues at ${first}`));
  }

  #topic(name: string): StoredTopic {
    return this.#options.topics.find(({ info }) => info.name === name)!;
  }
}
