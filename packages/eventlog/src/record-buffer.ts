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
  /** Number of records of the first chunk that were taken, and their bytes. */
  #taken = 0;
  #takenBytes = 0;
  #records = 0;
  #bytes = 0;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  get records(): number {
    return this.#records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.#records += chunk.records.length;
    this.#bytes += chunk.bytes;
  }

  putBack(chunk: Chunk): void {
    if (this.#taken > 0) {
      const { records, bytes } = this.#chunks[0]!;
      this.#chunks[0] = { records: records.slice(this.#taken), bytes: bytes - this.#takenBytes };
      this.#taken = 0;
      this.#takenBytes = 0;
    }
    this.#chunks.unshift(chunk);
    this.#records += chunk.records.length;
    this.#bytes += chunk.bytes;
  }

  /** Takes records from the front, up to the limits. A chunk that is taken whole is not copied. */
  take(limits: TakeLimits): Chunk {
    let records: readonly LogRecord[] = [];
    let merged: LogRecord[] | undefined;
    let bytes = 0;
    let done = 0;
    for (const chunk of this.#chunks) {
      const part = this.#takeFrom(chunk, {
        recordsMax: limits.recordsMax - records.length,
        bytesMax: limits.bytesMax - bytes,
        firstBytesMax: records.length === 0 ? limits.firstBytesMax : 0,
      });
      if (part.records.length === 0) break;
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
    this.#bytes -= bytes;
    return { records, bytes };
  }

  /** Takes records of the first chunk, with the bytes of values and keys; the last ones with the rest of its bytes. */
  #takeFrom(chunk: Chunk, { recordsMax, bytesMax, firstBytesMax }: TakeLimits): Chunk {
    const { records } = chunk;
    const start = this.#taken;
    const restBytes = chunk.bytes - this.#takenBytes;
    let end = records.length;
    let bytes = restBytes;
    if (end - start > recordsMax || restBytes > bytesMax) {
      const last = Math.min(start + recordsMax, end);
      bytes = 0;
      for (end = start; end < last; end++) {
        const next = bytes + records[end]!.value.length + records[end]!.key.length;
        if (next > bytesMax && (end > start || next > firstBytesMax)) break;
        bytes = next;
      }
      bytes = end === records.length ? restBytes : Math.min(bytes, restBytes);
    }
    const isDone = end === records.length;
    this.#taken = isDone ? 0 : end;
    this.#takenBytes = isDone ? 0 : this.#takenBytes + bytes;
    return { records: end - start === records.length ? records : records.slice(start, end), bytes };
  }

  /** Removes all records. */
  clear(): void {
    this.#chunks = [];
    this.#taken = 0;
    this.#takenBytes = 0;
    this.#records = 0;
    this.#bytes = 0;
  }
}

interface TakeLimits {
  readonly recordsMax: number;
  readonly bytesMax: number;
  /** The first record may exceed `bytesMax`, up to this size. */
  readonly firstBytesMax: number;
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
  /** Whether the last take left records in queues that are not held. */
  hasBacklog = false;
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

  get bytesMax(): number {
    return this.#options.bytesMax;
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

  /** Adds the records that fit. Returns their number. An empty buffer accepts one record of any size. */
  push(queue: RecordQueue, records: readonly LogRecord[], bytes: number): number {
    if (this.#isClosed || queue.isClosed) return 0;
    const { recordsMax, bytesMax } = this.#options;
    const bytesLeft = bytesMax - this.#bytes;
    const fitting = bytes <= bytesLeft ? records.length : Math.floor((records.length * bytesLeft) / bytes);
    const count = Math.min(records.length, recordsMax - this.#records, Math.max(fitting, this.#bytes === 0 ? 1 : 0));
    if (count <= 0) return 0;
    const isAll = count === records.length;
    const taken = isAll ? bytes : Math.ceil((bytes * count) / records.length);
    queue.push({ records: isAll ? records : records.slice(0, count), bytes: taken });
    this.#records += count;
    this.#bytes += taken;
    if (!queue.isHeld) this.onRecords();
    return count;
  }

  /**
   * Takes at most `recordsMax` records of at most `bytesMax` bytes, or one larger record: a share of each queue that is
   * not held. Each call starts at another queue; one whose next record does not fit is the first of the next call.
   */
  take(recordsMax: number, bytesMax = Number.POSITIVE_INFINITY): QueuedBatch[] {
    const ready: RecordQueue[] = [];
    for (const queue of this.#queues) if (!queue.isHeld && queue.records > 0) ready.push(queue);
    const count = ready.length || 1;
    const share = { records: Math.max(shareMin, Math.floor(recordsMax / count)), bytes: bytesMax / count };
    // Shares that small queues do not use go to the others.
    const spare = { records: recordsMax, bytes: bytesMax };
    let waiting = 0;
    for (const { records, bytes } of ready) {
      waiting += records;
      spare.records -= Math.min(share.records, records);
      spare.bytes -= Math.min(share.bytes, bytes);
    }
    const batches: QueuedBatch[] = [];
    const first = this.#turn % count;
    const left = { records: recordsMax, bytes: bytesMax };
    for (let n = 0; n < ready.length && left.records > 0; n++) {
      const queue = ready[(first + n) % ready.length]!;
      const own = { records: Math.min(share.records, queue.records), bytes: Math.min(share.bytes, queue.bytes) };
      const extra = {
        records: Math.min(queue.records - own.records, Math.max(0, spare.records)),
        bytes: Math.min(queue.bytes - own.bytes, Math.max(0, spare.bytes)),
      };
      spare.records -= extra.records;
      spare.bytes -= extra.bytes;
      const allowedBytes = own.bytes + extra.bytes;
      const { records, bytes } = queue.take({
        recordsMax: Math.min(own.records + extra.records, left.records),
        bytesMax: allowedBytes < queue.bytes ? Math.min(allowedBytes, left.bytes) : left.bytes,
        firstBytesMax: batches.length === 0 ? Number.POSITIVE_INFINITY : left.bytes,
      });
      if (records.length === 0) break;
      left.records -= records.length;
      left.bytes -= bytes;
      this.#records -= records.length;
      this.#bytes -= bytes;
      batches.push({ topic: queue.topic, partition: queue.partition, records, bytes, queue });
    }
    this.#turn = first + batches.length;
    this.hasBacklog = waiting > recordsMax - left.records;
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
    this.#records -= queue.records;
    this.#bytes -= queue.bytes;
    queue.clear();
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
