import type { LogBatch, LogRecord } from './event-log.ts';

/** Least records of one partition in a call that does not fit all: smaller batches cost the subscriber more. */
const shareMin = 50;

interface Chunk {
  readonly records: readonly LogRecord[];
  readonly bytes: number;
}

/** The records of one partition that were read and not delivered. Created by `RecordBuffer.open`. */
export class RecordQueue {
  readonly topic: string;
  readonly partition: number;
  /** Whether its records are not to be delivered for now. */
  isHeld = false;
  /** Whether the partition is another member's: records are no longer accepted. */
  isClosed = false;
  #chunks: Chunk[] = [];
  /** Number of records of the first chunk that were taken. */
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

  /** Takes at most `count` records from the front. A chunk that is taken whole is not copied. */
  take(count: number): Chunk {
    let records: readonly LogRecord[] = [];
    let merged: LogRecord[] | undefined;
    let bytes = 0;
    let done = 0;
    for (const chunk of this.#chunks) {
      const left = count - records.length;
      if (left <= 0) break;
      const part = this.#takeFrom(chunk, left);
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

  /** Takes records of the first chunk, and a share of its bytes by their number. */
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
 * The records that a group member has read and not delivered, within limits. A source reads ahead into it, and does not
 * wait for the subscriber. `hasCapacity` is false from half of a limit on, so that one more response usually fits. The
 * source reads the rest of a response that does not fit again later.
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

  /** Of the records in it. */
  get bytes(): number {
    return this.#bytes;
  }

  get recordsMax(): number {
    return this.#options.recordsMax;
  }

  open(topic: string, partition: number): RecordQueue {
    const queue = new RecordQueue(topic, partition);
    this.#queues.add(queue);
    return queue;
  }

  hasCapacity(): boolean {
    const { recordsMax, bytesMax } = this.#options;
    return this.#records < recordsMax / 2 && this.#bytes < bytesMax / 2;
  }

  /** Resolves when there may be capacity again, or the buffer is closed. */
  whenCapacity(): Promise<void> {
    if (this.hasCapacity() || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Adds the records that fit. Returns their number. */
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

  /** Takes at most `recordsMax` records, a share of each queue that is not held. Each call starts at another queue. */
  take(recordsMax: number): QueuedBatch[] {
    const ready: RecordQueue[] = [];
    for (const queue of this.#queues) if (!queue.isHeld && queue.records > 0) ready.push(queue);
    const share = Math.max(shareMin, Math.floor(recordsMax / (ready.length || 1)));
    // Shares that small queues do not use go to the others.
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
    this.#notifyCapacity();
    return batches;
  }

  /** Returns a batch to the front of its queue. */
  putBack({ queue, records, bytes }: QueuedBatch): void {
    if (this.#isClosed || queue.isClosed) return;
    queue.putBack({ records, bytes });
    this.#records += records.length;
    this.#bytes += bytes;
  }

  /** Drops the queue and its records. Records that a source still pushes are not accepted. */
  remove(queue: RecordQueue): void {
    queue.isClosed = true;
    if (!this.#queues.delete(queue)) return;
    const { records, bytes } = queue.take(queue.records);
    this.#records -= records.length;
    this.#bytes -= bytes;
    this.#notifyCapacity();
  }

  close(): void {
    this.#isClosed = true;
    for (const queue of this.#queues) this.remove(queue);
    this.#notifyCapacity();
  }

  #notifyCapacity(): void {
    if (this.#waiting.length === 0 || !(this.#isClosed || this.hasCapacity())) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

function shareOf(bytes: number, count: number, records: number): number {
  return Math.ceil((bytes * count) / records);
}
