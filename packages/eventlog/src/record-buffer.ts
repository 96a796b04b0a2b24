import type { LogBatch, LogRecord } from './eventlog.ts';

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
    this.#chunks.unshift(chunk);
    this.#records += chunk.records.length;
  }

  /** Takes the first `count` records, at most as many as there are. */
  take(count: number): Chunk {
    let taken: Chunk = { records: [], bytes: 0 };
    let used = 0;
    for (const chunk of this.#chunks) {
      const room = count - taken.records.length;
      if (room <= 0) break;
      const [first, rest] = split(chunk, room);
      // As it came, where one chunk is all: nothing is copied.
      taken =
        taken.records.length === 0
          ? first
          : { records: taken.records.concat(first.records), bytes: taken.bytes + first.bytes };
      if (rest === undefined) used++;
      else this.#chunks[used] = rest;
    }
    this.#chunks = used === this.#chunks.length ? [] : this.#chunks.slice(used);
    this.#records -= taken.records.length;
    return taken;
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
    const [chunk] = split({ records, bytes }, count);
    queue.push(chunk);
    this.#records += count;
    this.#bytes += chunk.bytes;
    if (!queue.isHeld) this.onRecords();
    return count;
  }

  /** Takes at most `recordsMax` records of the queues that are not held: each its share, another one first each time. */
  take(recordsMax: number): QueuedBatch[] {
    const ready: RecordQueue[] = [];
    for (const queue of this.#queues) if (!queue.isHeld && queue.records > 0) ready.push(queue);
    const share = Math.max(1, Math.floor(recordsMax / (ready.length || 1)));
    // What small queues leave of their shares goes to the others.
    let spare = recordsMax;
    for (const { records } of ready) spare -= Math.min(share, records);
    const batches: QueuedBatch[] = [];
    const first = this.#turn++ % (ready.length || 1);
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

/** The first `count` records, and the rest where there is any. The bytes are shared out by the number of records. */
function split({ records, bytes }: Chunk, count: number): [Chunk, Chunk | undefined] {
  if (count >= records.length) return [{ records, bytes }, undefined];
  const firstBytes = Math.ceil((bytes * count) / records.length);
  return [
    { records: records.slice(0, count), bytes: firstBytes },
    { records: records.slice(count), bytes: bytes - firstBytes },
  ];
}
