import { shown, TailraceError } from '@tailrace/protocol/error';
import type { NewRecord, Position, RecordSettled } from '../event-log.ts';
import { recordBytes } from '../topic.ts';
import type { ProducerRecord } from './records.ts';

/** The records of one call. */
export interface AppendCall {
  /** Monotonic ms. */
  readonly startedMs: number;
  /** Whether the records that follow one that has failed are not to be sent. */
  readonly failsTogether: boolean;
  /** Called at most once for a record. */
  acknowledged(index: number, partition: number, seq: number): void;
  /** Called once for each record of a failed batch. */
  failed(index: number, error: TailraceError): void;
}

/** A call of `append`: fails with its first record that fails. */
export class AppendAllCall implements AppendCall {
  readonly startedMs: number;
  readonly failsTogether = true;
  /** The answer of the call. */
  readonly promise: Promise<readonly Position[]>;
  readonly #positions: Position[];
  readonly #resolve: (positions: readonly Position[]) => void;
  readonly #reject: (error: TailraceError) => void;
  #unacknowledged: number;

  constructor(startedMs: number, records: number) {
    this.startedMs = startedMs;
    this.#positions = new Array<Position>(records);
    this.#unacknowledged = records;
    const { promise, resolve, reject } = Promise.withResolvers<readonly Position[]>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  acknowledged(index: number, partition: number, seq: number): void {
    this.#positions[index] = { partition, seq };
    if (--this.#unacknowledged === 0) this.#resolve(this.#positions);
  }

  failed(_index: number, error: TailraceError): void {
    this.#reject(error);
  }
}

/** A call of `appendEach`: its records are settled one by one. */
export class AppendEachCall implements AppendCall {
  readonly startedMs: number;
  readonly failsTogether = false;
  readonly #settled: RecordSettled;
  #refused: { readonly index: number; readonly error: TailraceError }[] = [];

  constructor(startedMs: number, settled: RecordSettled) {
    this.startedMs = startedMs;
    this.#settled = settled;
  }

  acknowledged(index: number, partition: number, seq: number): void {
    this.#settled(index, undefined, partition, seq);
  }

  failed(index: number, error: TailraceError): void {
    this.#settled(index, error, -1, -1);
  }

  /** Fails a record that is not accepted, after the call has returned. */
  refuse(index: number, error: TailraceError): void {
    if (this.#refused.length === 0) queueMicrotask(this.#settleRefused);
    this.#refused.push({ index, error });
  }

  /** Fails all records of a call that is not accepted. */
  refuseAll(records: number, error: TailraceError): void {
    for (let index = 0; index < records; index++) this.refuse(index, error);
  }

  readonly #settleRefused = (): void => {
    const refused = this.#refused;
    this.#refused = [];
    for (const { index, error } of refused) this.failed(index, error);
  };
}

export interface PendingRecord extends ProducerRecord {
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
   * The next sequence number, by `PartitionQueue.name`. The broker counts by partition, also while its topic is not
   * known here.
   */
  readonly sequences: Map<string, number>;
}

export interface RemovedRecords {
  readonly count: number;
  readonly bytes: number;
}

const nothingRemoved: RemovedRecords = { count: 0, bytes: 0 };

/** The records of one partition that wait to be sent. At most one batch at a time is taken. */
export class PartitionQueue {
  /** Topic and partition. */
  readonly name: string;
  readonly topic: string;
  readonly partition: number;
  /** The batch that is taken and not done. `#records` follow it. */
  batch: ProducerBatch | undefined;
  /** No batch is sent before; monotonic ms. */
  retryAtMs = 0;
  /** Consecutive requests in which the broker has refused the partition. */
  failures = 0;
  #records: PendingRecord[] = [];
  #bytes = 0;
  /** Most bytes of a batch that the topic accepts, as learned from its errors. */
  #batchBytesMax = Number.POSITIVE_INFINITY;

  constructor(topic: string, partition: number) {
    this.name = `${topic}/${partition}`;
    this.topic = topic;
    this.partition = partition;
  }

  /** Bytes of the batch and of the following records. */
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

  /** Returns the batch to be retried, else a new one with the waiting records, up to `bytesMax`. */
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

  /** Returns the second half of a batch that was too large to the front. Later batches are smaller. */
  putBack(records: readonly PendingRecord[], batchBytesMax: number): void {
    this.#batchBytesMax = Math.min(this.#batchBytesMax, batchBytesMax);
    this.#records = [...records, ...this.#records];
    for (const { bytes } of records) this.#bytes += bytes;
  }

  /** Removes the records that wait since `oldestMs` or longer, and fails them. Returns their size. */
  expire(oldestMs: number, error: TailraceError): RemovedRecords {
    return this.#remove(({ call, index }) => {
      if (call.startedMs > oldestMs) return false;
      call.failed(index, error);
      return true;
    });
  }

  /**
   * Removes the rest of an `append` that was rejected, at the front: only a prefix of it may be in the log. Returns its
   * size.
   */
  removeRest(rejected: AppendCall): RemovedRecords {
    return rejected.failsTogether ? this.#remove(({ call }) => call === rejected) : nothingRemoved;
  }

  #remove(matches: (record: PendingRecord) => boolean): RemovedRecords {
    let count = 0;
    let bytes = 0;
    for (; count < this.#records.length && matches(this.#records[count]!); count++)
      bytes += this.#records[count]!.bytes;
    if (count > 0) this.#records.splice(0, count);
    this.#bytes -= bytes;
    return { count, bytes };
  }
}

/**
 * `ready`: waits for a request.
 * `sent`: in the request that is in flight to its broker.
 * `done`: acknowledged or failed. Its calls are settled, and the queue may form the next batch.
 */
export type BatchState = 'ready' | 'sent' | 'done';

const nextStates: Readonly<Record<BatchState, readonly BatchState[]>> = {
  ready: ['sent', 'done'],
  sent: ['ready', 'done'],
  done: [],
};

/** Records of one partition that are sent, retried and acknowledged together. */
export class ProducerBatch {
  readonly queue: PartitionQueue;
  readonly records: PendingRecord[];
  bytes: number;
  /** The producer ID of its first attempt, which retries use, too. */
  producerId: ProducerId | undefined;
  /** The last error code of the broker; 0: none. */
  errorCode = 0;
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

  /** Whether it may be in the log: a request was not answered, or too few replicas have written it. */
  get mayBeWritten(): boolean {
    return this.#mayBeWritten;
  }

  /** Time of its oldest call, monotonic ms. */
  get startedMs(): number {
    return this.records[0]!.call.startedMs;
  }

  sent(): void {
    this.#changeTo('sent');
    this.errorCode = 0;
  }

  /** Retries the same batch, with the same sequence numbers. */
  retry(outcome: { readonly mayBeWritten: boolean; readonly errorCode: number }): void {
    this.#changeTo('ready');
    this.#mayBeWritten ||= outcome.mayBeWritten;
    this.errorCode = outcome.errorCode;
  }

  /** Retries it as a new batch: the broker has refused it and written none of it. */
  retryAsNew(errorCode: number): void {
    this.#changeTo('ready');
    this.producerId = undefined;
    this.errorCode = errorCode;
  }

  /** Retries the first half of a batch that was too large. Returns the bytes of the second half, which follows it. */
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
      call.acknowledged(index, partition, firstSeq + n);
    }
  }

  fail(error: TailraceError): void {
    this.#changeTo('done');
    for (const { call, index } of this.records) call.failed(index, error);
  }

  #changeTo(state: BatchState): void {
    if (!nextStates[this.#state].includes(state)) {
      throw new TailraceError('internal', `producer batch: expected ${nextStates[this.#state]}, got ${state}`);
    }
    this.#state = state;
    if (state === 'done') this.queue.batch = undefined;
  }
}

/** Size of a pending record beyond its content, and of each header. */
const pendingOverheadBytes = 32;
const headerOverheadBytes = 10;

/** Returns what a record counts against the limit of pending bytes. Throws `too_large`. */
export function pendingBytesOf(record: NewRecord): number {
  const { headers } = record;
  const headerBytes = headers === undefined ? 0 : headerOverheadBytes * Object.keys(headers).length;
  return recordBytes(record) + pendingOverheadBytes + headerBytes;
}

/** Returns a pending record. Throws `too_large`. */
export function pendingFrom(record: NewRecord, index: number, call: AppendCall, timeMs: number): PendingRecord {
  const { key, value, headers } = record;
  const bytes = pendingBytesOf(record);
  return { key, keyBytes: Buffer.byteLength(key), value, headers, timeMs, bytes, call, index };
}

/** Returns the operation for messages: `append to topic "a", "b"`. */
export function appendingTo(batches: readonly ProducerBatch[]): string {
  const topics = [...new Set(batches.map(({ queue }) => shown(queue.topic)))];
  return `append to topic ${topics.join(', ')}`;
}
