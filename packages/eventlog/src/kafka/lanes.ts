import { shown, type TailraceError } from '@tailrace/protocol/error';
import type { NewRecord, Position } from '../eventlog.ts';
import { recordBytes } from '../topic.ts';
import type { OutRecord } from './records.ts';

/** One call of `append`. */
export interface Call {
  readonly positions: Position[];
  readonly startedMs: number;
  left: number;
  bytes: number;
  resolve(positions: readonly Position[]): void;
  reject(error: TailraceError): void;
}

export interface PendingRecord extends OutRecord {
  readonly bytes: number;
  readonly call: Call;
  /** In the call. */
  readonly index: number;
}

/** A partition. Either its `flight` is on its way, or the first of `waiting` may go. */
export interface Lane {
  /** Topic and partition. */
  readonly name: string;
  readonly topic: string;
  readonly partition: number;
  waiting: PendingRecord[];
  waitingBytes: number;
  flight: Flight | undefined;
  /** What the topic takes in one batch, as far as its refusals have shown. */
  batchBytesMax: number;
  /** Nothing of it goes before; monotonic ms. */
  retryAtMs: number;
  /** Requests in which it was put off, since the last one in which it was not. */
  failures: number;
}

/** Records of one partition that go, and come back, together. */
export interface Flight {
  readonly lane: Lane;
  readonly records: PendingRecord[];
  bytes: number;
  /** Under which it went first, and goes again. */
  identity: Identity | undefined;
  /** A request with it was lost: it may be in the log. */
  uncertain: boolean;
  /** The error code that the broker put it off with last; 0: none. */
  putOffBy: number;
}

/** A producer's ID at the brokers. */
export interface Identity {
  readonly producerId: number;
  readonly producerEpoch: number;
  /**
   * The next sequence number, by `Lane.name`: the broker counts for the partition, and goes on where the topic is
   * forgotten here and found again.
   */
  readonly sequences: Map<string, number>;
}

export function createLane(topic: string, partition: number): Lane {
  const batchBytesMax = Number.POSITIVE_INFINITY;
  return {
    name: `${topic}/${partition}`,
    topic,
    partition,
    waiting: [],
    waitingBytes: 0,
    flight: undefined,
    batchBytesMax,
    retryAtMs: 0,
    failures: 0,
  };
}

/** Throws `too_large`. */
export function pendingFrom(record: NewRecord, index: number, call: Call, timeMs: number): PendingRecord {
  const { key, value, headers } = record;
  // Beyond what counts against the limit: the frame of a record, and of each header.
  let bytes = recordBytes(record) + 32;
  if (headers !== undefined) bytes += 10 * Object.keys(headers).length;
  call.bytes += bytes;
  return { key, keyBytes: Buffer.byteLength(key), value, headers, timeMs, bytes, call, index };
}

/** Of all that waits in the lane, or is under way. */
export function bytesOf({ flight, waitingBytes }: Lane): number {
  return waitingBytes + (flight?.bytes ?? 0);
}

/** Whether nothing of the lane waits, or is under way. */
export function isIdle({ flight, waiting }: Lane): boolean {
  return flight === undefined && waiting.length === 0;
}

/** Takes the lane's next batch: all that waits, up to the limit. */
export function takeFlight(lane: Lane, bytesMax: number): Flight {
  const { waiting, waitingBytes } = lane;
  const batchBytesMax = Math.min(bytesMax, lane.batchBytesMax);
  let count = waiting.length;
  let bytes = waitingBytes;
  if (bytes > batchBytesMax) {
    bytes = waiting[0]!.bytes;
    for (count = 1; count < waiting.length; count++) {
      if (bytes + waiting[count]!.bytes > batchBytesMax) break;
      bytes += waiting[count]!.bytes;
    }
  }
  const records = count === waiting.length ? waiting : waiting.slice(0, count);
  lane.waiting = count === waiting.length ? [] : waiting.slice(count);
  lane.waitingBytes = waitingBytes - bytes;
  lane.flight = { lane, records, bytes, identity: undefined, uncertain: false, putOffBy: 0 };
  return lane.flight;
}

/**
 * It was too large: the second half goes back to the head of the queue, and later ones are smaller. Answers with the
 * bytes that went back.
 */
export function halve(flight: Flight): number {
  const { lane } = flight;
  lane.batchBytesMax = Math.min(lane.batchBytesMax, flight.bytes / 2);
  const back = flight.records.splice(flight.records.length >> 1);
  let bytes = 0;
  for (const record of back) bytes += record.bytes;
  flight.bytes -= bytes;
  lane.waiting = [...back, ...lane.waiting];
  lane.waitingBytes += bytes;
  return bytes;
}

/** Gives up what waits in the lane since `oldestMs` or longer. Answers with its bytes. */
export function dropOverdue(lane: Lane, oldestMs: number, error: TailraceError): number {
  let count = 0;
  let bytes = 0;
  while (count < lane.waiting.length && lane.waiting[count]!.call.startedMs <= oldestMs) {
    const { call, bytes: own } = lane.waiting[count++]!;
    bytes += own;
    call.reject(error);
  }
  lane.waiting.splice(0, count);
  lane.waitingBytes -= bytes;
  return bytes;
}

/** For messages: `append to topic "a", "b"`. */
export function appendingTo(flights: readonly Flight[]): string {
  const topics = [...new Set(flights.map(({ lane }) => shown(lane.topic)))];
  return `append to topic ${topics.join(', ')}`;
}
