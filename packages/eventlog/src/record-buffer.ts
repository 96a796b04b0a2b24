import type { LogBatch, LogRecord } from './event-log.ts';

/** Records of one partition in one call, where not all fits: smaller batches cost the subscriber more. */
const shareMin = 50;

interface Chunk {
  readonly records: readonly LogRecord[];
  readonly bytes: number;
}

/** The records of one partition of one topic that were read and not delivered. Created by `RecordBuffer.open`. */
export class RecordQueue {
  readonly topic: string;
  readonly partition: number;
  /** Its records stay, and none is delivered. */
  isHeld = false;
  /** The partition is not this member's any more: nothing is taken in. */
  isClosed = false;
  #chunks: Chunk[] = [];
  /** Records of the first chunk that were taken. */
  #taken = 0;
  #records = 0;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  get records(): number {
    return this.#records;
  }

  push(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.#records += chunk.records.length;
  }

  putBack(chunk: Chunk): void {
    if (this.#taken > 0) {
      const { records, bytes } = this.#chunks[0]!;
      const rest = bytes - shareOf(bytes, this.#taken, records.length);
      this.#chunks[0] = { records: records.slice(this.#taken), bytes: rest };
      this.#taken = 0;
    }
    this.#chunks.unshift(chunk);
    this.#records += chunk.records.length;
  }

  /** Takes the first `count` records, at most as many as there are. One chunk that is taken whole is not copied. */
  take(count: number): Chunk {
    let records: readonly LogRecord[] = [];
    let merged: LogRecord[] | undefined;
    let bytes = 0;
    let done = 0;
    for (const chunk of this.#chunks) {
      const room = count - records.length;
      if (room <= 0) break;
      const part = this.#takeFrom(chunk, room);
      bytes += part.bytes;
      if (records.length === 0) records = part.records;
      else {
        merged ??= [...records];
        for (const record of part.records) merged.push(record);
        records = merged;
      }
      if (this.#taken > 0) break;
      done++;
    }
    if (done > 0) this.#chunks = this.#chunks.slice(done);
    this.#records -= records.length;
    return { records, bytes };
  }

  /** Takes of the first chunk. The bytes are shared out by the number of records. */
  #takeFrom({ records, bytes }: Chunk, count: number): Chunk {
    const start = this.#taken;
    const end = Math.min(start + count, records.length);
    this.#taken = end === records.length ? 0 : end;
    if (end - start === records.length) return { records, bytes };
    return {
      records: records.slice(start, end),
      bytes: shareOf(bytes, end, records.length) - shareOf(bytes, start, records.length),
    };
  }
}

export interface QueuedBatch extends LogBatch {
  readonly queue: RecordQueue;
  readonly bytes: number;
}

export interface RecordBufferOptions {
  readonly recordsMax: number;
  readonly bytesMax: number;
}

/**
 * What a group member has read and not delivered, within bounds. A source reads ahead into it without waiting for the
 * subscriber, and the subscriber never waits for the source. At half of a bound `hasRoom` asks for no more, so that one
 * more answer usually fits. Of an answer that does not fit, the source reads the rest again later.
 */
export class RecordBuffer {
  readonly #options: RecordBufferOptions;
  readonly #queues = new Set<RecordQueue>();
  #records = 0;
  #bytes = 0;
  #turn = 0;
  #isClosed = false;
  #waiting: (() => void)[] = [];
  /** Called when there are records to deliver. Set by the member. */
  onRecords: () => void = () => {};

  constructor(options: RecordBufferOptions) {
    this.#options = options;
  }

  get records(): number {
    return this.#records;
  }

  get recordsMax(): number {
    return this.#options.recordsMax;
  }

  open(topic: string, partition: number): RecordQueue {
    const queue = new RecordQueue(topic, partition);
    this.#queues.add(queue);
    return queue;
  }

  hasRoom(): boolean {
    const { recordsMax, bytesMax } = this.#options;
    return this.#records < recordsMax / 2 && this.#bytes < bytesMax / 2;
  }

  /** Resolves when there may be room again, or the buffer is closed. */
  whenRoom(): Promise<void> {
    if (this.hasRoom() || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Takes in as many of the records as fit. Returns how many. */
  push(queue: RecordQueue, records: readonly LogRecord[], bytes: number): number {
    if (this.#isClosed || queue.isClosed) return 0;
    const count = Math.min(records.length, this.#options.recordsMax - this.#records);
    if (count <= 0) return 0;
    const isAll = count === records.length;
    const taken = isAll ? bytes : shareOf(bytes, count, records.length);
    queue.push({ records: isAll ? records : records.slice(0, count), bytes: taken });
    this.#records += count;
    this.#bytes += taken;
    if (!queue.isHeld) this.onRecords();
    return count;
  }

  /** Takes at most `recordsMax` records of the queues that are not held: of each its share, in turn over the calls. */
  take(recordsMax: number): QueuedBatch[] {
    const ready: RecordQueue[] = [];
    for (const queue of this.#queues) if (!queue.isHeld && queue.records > 0) ready.push(queue);
    const share = Math.max(shareMin, Math.floor(recordsMax / (ready.length || 1)));
    // What small queues leave of their shares goes to the others.
    let spare = recordsMax;
    for (const { records } of ready) spare -= Math.min(share, records);
    const batches: QueuedBatch[] = [];
    const first = this.#turn % (ready.length || 1);
    let left = recordsMax;
    for (let n = 0; n < ready.length && left > 0; n++) {
      const queue = ready[(first + n) % ready.length]!;
      const own = Math.min(share, queue.records);
      const extra = Math.min(queue.records - own, Math.max(0, spare));
      spare -= extra;
      const { records, bytes } = queue.take(Math.min(own + extra, left));
      left -= records.length;
      this.#records -= records.length;
      this.#bytes -= bytes;
      batches.push({ topic: queue.topic, partition: queue.partition, records, bytes, queue });
    }
    this.#turn = first + batches.length;
    this.#notifyRoom();
    return batches;
  }

  /** Puts a batch back to the front of its queue, as if it had not been taken. */
  putBack({ queue, records, bytes }: QueuedBatch): void {
    if (this.#isClosed || queue.isClosed) return;
    queue.putBack({ records, bytes });
    this.#records += records.length;
    this.#bytes += bytes;
  }

  /** Drops the queue with its records. What a source still has for it is not taken in. */
  remove(queue: RecordQueue): void {
    queue.isClosed = true;
    if (!this.#queues.delete(queue)) return;
    const { records, bytes } = queue.take(queue.records);
    this.#records -= records.length;
    this.#bytes -= bytes;
    this.#notifyRoom();
  }

  close(): void {
    this.#isClosed = true;
    for (const queue of this.#queues) this.remove(queue);
    this.#notifyRoom();
  }

  #notifyRoom(): void {
    if (this.#waiting.length === 0 || !(this.#isClosed || this.hasRoom())) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

function shareOf(bytes: number, count: number, records: number): number {
  return Math.ceil((bytes * count) / records);
}
