import { shown, TailraceError } from '@tailrace/protocol/error';
import type { NewRecord, Position } from '../event-log.ts';
import { recordBytes } from '../topic.ts';
import type { OutRecord } from './records.ts';

/** One call of `append`. */
export interface AppendCall {
  readonly positions: Position[];
  readonly startedMs: number;
  /** Records without a position. */
  unacknowledged: number;
  bytes: number;
  resolve(positions: readonly Position[]): void;
  reject(error: TailraceError): void;
}

export interface PendingRecord extends OutRecord {
  readonly bytes: number;
  readonly call: AppendCall;
  /** Index in the call. */
  readonly index: number;
}

/** A producer ID that the brokers know (KIP-98). */
export interface ProducerId {
  readonly producerId: number;
  readonly producerEpoch: number;
  /**
   * The next sequence number, by `PartitionQueue.name`: the broker counts for the partition, and goes on where the
   * topic is forgotten here and found again.
   */
  readonly sequences: Map<string, number>;
}

/** The records of one partition that wait to be sent. At most one batch at a time is taken out of it. */
export class PartitionQueue {
  /** Topic and partition. */
  readonly name: string;
  readonly topic: string;
  readonly partition: number;
  /** Taken and not done. The records in `#records` follow it. */
  batch: ProducerBatch | undefined;
  /** The partition is not sent before; monotonic ms. */
  retryAtMs = 0;
  /** Requests in which the broker refused the partition, since the last one in which it did not. */
  failures = 0;
  #records: PendingRecord[] = [];
  #bytes = 0;
  /** What the topic accepts in one batch, as far as its refusals have shown. */
  #batchBytesMax = Number.POSITIVE_INFINITY;

  constructor(topic: string, partition: number) {
    this.name = `${topic}/${partition}`;
    this.topic = topic;
    this.partition = partition;
  }

  /** Bytes of the batch and of the records behind it. */
  get bytes(): number {
    return this.#bytes + (this.batch?.bytes ?? 0);
  }

  get isIdle(): boolean {
    return this.batch === undefined && this.isEmpty;
  }

  get isEmpty(): boolean {
    return this.#records.length === 0;
  }

  push(record: PendingRecord): void {
    this.#records.push(record);
    this.#bytes += record.bytes;
  }

  /** Returns the batch that is to be sent again, else a new one: all records that wait, up to `bytesMax`. */
  nextBatch(bytesMax: number): ProducerBatch {
    if (this.batch !== undefined) return this.batch;
    const limit = Math.min(bytesMax, this.#batchBytesMax);
    let count = this.#records.length;
    let bytes = this.#bytes;
    if (bytes > limit) {
      bytes = this.#records[0]!.bytes;
      for (count = 1; count < this.#records.length; count++) {
        if (bytes + this.#records[count]!.bytes > limit) break;
        bytes += this.#records[count]!.bytes;
      }
    }
    const isAll = count === this.#records.length;
    const records = isAll ? this.#records : this.#records.slice(0, count);
    this.#records = isAll ? [] : this.#records.slice(count);
    this.#bytes -= bytes;
    this.batch = new ProducerBatch(this, records, bytes);
    return this.batch;
  }

  /** Puts the second half of its batch, which was too large, back to the front; later batches are smaller. */
  putBack(records: readonly PendingRecord[], batchBytesMax: number): void {
    this.#batchBytesMax = Math.min(this.#batchBytesMax, batchBytesMax);
    this.#records = [...records, ...this.#records];
    for (const { bytes } of records) this.#bytes += bytes;
  }

  /**
   * Rejects the calls of the records that have waited since `oldestMs` or longer. Returns the bytes of these records.
   */
  expire(oldestMs: number, error: TailraceError): number {
    let count = 0;
    let bytes = 0;
    for (; count < this.#records.length; count++) {
      const record = this.#records[count]!;
      if (record.call.startedMs > oldestMs) break;
      bytes += record.bytes;
      record.call.reject(error);
    }
    this.#records.splice(0, count);
    this.#bytes -= bytes;
    return bytes;
  }
}

/**
 * `ready`: waits for a request, the first one or another.
 * `sent`: in the one request that is open to its broker.
 * `done`: acknowledged or failed. Its calls have their answer, and the queue may form the next batch.
 */
export type BatchState = 'ready' | 'sent' | 'done';

const nextStates: Readonly<Record<BatchState, readonly BatchState[]>> = {
  ready: ['sent', 'done'],
  sent: ['ready', 'done'],
  done: [],
};

/** Records of one partition that are sent, sent again and answered together. */
export class ProducerBatch {
  readonly queue: PartitionQueue;
  readonly records: PendingRecord[];
  bytes: number;
  /** The ID under which it was sent first, and is sent again. */
  producerId: ProducerId | undefined;
  /** The error code with which the broker refused it last; 0: none. */
  refusal = 0;
  #state: BatchState = 'ready';
  #mayBeWritten = false;

  constructor(queue: PartitionQueue, records: PendingRecord[], bytes: number) {
    this.queue = queue;
    this.records = records;
    this.bytes = bytes;
  }

  get state(): BatchState {
    return this.#state;
  }

  /** A request with it had no answer, or too few replicas wrote it: it may be in the log. */
  get mayBeWritten(): boolean {
    return this.#mayBeWritten;
  }

  /** When the oldest of its calls came, monotonic ms. */
  get startedMs(): number {
    return this.records[0]!.call.startedMs;
  }

  sent(): void {
    this.#changeTo('sent');
    this.refusal = 0;
  }

  /** It is to be sent again as it is, under the same numbers. */
  retry(outcome: { readonly mayBeWritten: boolean; readonly refusal: number }): void {
    this.#changeTo('ready');
    this.#mayBeWritten ||= outcome.mayBeWritten;
    this.refusal = outcome.refusal;
  }

  /** It is to be sent again as a new batch: the broker has refused it, and has none of it. */
  retryAsNew(refusal: number): void {
    this.#changeTo('ready');
    this.producerId = undefined;
    this.refusal = refusal;
  }

  /**
   * It was too large: the first half is to be sent again. Returns the bytes of the second half, which waits behind it.
   */
  halve(): number {
    this.#changeTo('ready');
    const bytesMax = this.bytes / 2;
    const back = this.records.splice(this.records.length >> 1);
    let bytes = 0;
    for (const record of back) bytes += record.bytes;
    this.bytes -= bytes;
    this.queue.putBack(back, bytesMax);
    return bytes;
  }

  acknowledge(firstSeq: number): void {
    this.#changeTo('done');
    const { partition } = this.queue;
    for (let n = 0; n < this.records.length; n++) {
      const { call, index } = this.records[n]!;
      call.positions[index] = { partition, seq: firstSeq + n };
      if (--call.unacknowledged === 0) call.resolve(call.positions);
    }
  }

  fail(error: TailraceError): void {
    this.#changeTo('done');
    for (const { call } of this.records) call.reject(error);
  }

  #changeTo(state: BatchState): void {
    if (!nextStates[this.#state].includes(state)) {
      throw new TailraceError('internal', `producer batch: expected ${nextStates[this.#state]}, got ${state}`);
    }
    this.#state = state;
    if (state === 'done') this.queue.batch = undefined;
  }
}

/** Returns the record as it waits. Throws `too_large`. Adds its bytes to the call. */
export function pendingFrom(record: NewRecord, index: number, call: AppendCall, timeMs: number): PendingRecord {
  const { key, value, headers } = record;
  // Beyond what counts against the limit: the frame of a record, and of each header.
  let bytes = recordBytes(record) + 32;
  if (headers !== undefined) bytes += 10 * Object.keys(headers).length;
  call.bytes += bytes;
  return { key, keyBytes: Buffer.byteLength(key), value, headers, timeMs, bytes, call, index };
}

/** For messages: `append to topic "a", "b"`. */
export function appendingTo(batches: readonly ProducerBatch[]): string {
  const topics = [...new Set(batches.map(({ queue }) => shown(queue.topic)))];
  return `append to topic ${topics.join(', ')}`;
}
