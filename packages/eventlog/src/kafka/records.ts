/**
 * Kafka's record batches, magic 2 (https://kafka.apache.org/documentation/#recordbatch): the form of records in Produce
 * requests, in Fetch answers and on the broker's disk.
 */

import { emptyRecord, type LogRecord, type UnreadableReason, unreadableRecord } from '../event-log.ts';
import { KafkaReader, KafkaWriter, varintBytes } from './bytes.ts';
import { decompress, decompressedBytesMax, type KafkaCodec } from './codecs.ts';
import { crc32c } from './crc32c.ts';

/** A record on its way in, with what is computed once. */
export interface OutRecord {
  readonly key: string;
  /** Of the key in UTF-8. */
  readonly keyBytes: number;
  readonly value: Uint8Array;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly timeMs: number;
}

export interface BatchIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly firstSequence: number;
}

/** Bytes of a batch before its first record. */
export const batchOverheadBytes = 61;
const magic = 2;
const logAppendTime = 0x08;
const controlBatch = 0x20;
/** From the start of a batch to the field after its length. */
const lengthEnd = 12;

/** Bytes a record takes in a batch, at most. */
export function recordBytes(record: Pick<OutRecord, 'keyBytes' | 'value' | 'headers'>): number {
  // Length, attributes, time and offset deltas, lengths of key and value, number of headers.
  let bytes = 32 + record.keyBytes + record.value.length;
  if (record.headers !== undefined) {
    for (const name in record.headers) {
      bytes += 10 + Buffer.byteLength(name) + Buffer.byteLength(record.headers[name]!);
    }
  }
  return bytes;
}

/** Appends one batch with these records, in order. */
export async function writeBatch(
  out: KafkaWriter,
  records: readonly OutRecord[],
  identity: BatchIdentity,
  codec: KafkaCodec,
): Promise<void> {
  const firstTime = records[0]!.timeMs;
  let maxTime = firstTime;
  for (const record of records) if (record.timeMs > maxTime) maxTime = record.timeMs;
  let packed: Uint8Array | undefined;
  if (codec.pack !== undefined) {
    const plain = new KafkaWriter(16_384);
    writeRecords(plain, records, firstTime);
    packed = await codec.pack(plain.buffer);
  }
  out.reserve(batchOverheadBytes);
  const start = out.at;
  out.int64(0); // first offset: the broker's to give
  out.int32(0); // length: below
  out.int32(-1); // leader epoch: the broker's
  out.int8(magic);
  out.uint32(0); // CRC: below
  const summed = out.at;
  out.int16(codec.attribute);
  out.int32(records.length - 1);
  out.int64(firstTime);
  out.int64(maxTime);
  out.int64(identity.producerId);
  out.int16(identity.producerEpoch);
  out.int32(identity.firstSequence);
  out.int32(records.length);
  if (packed === undefined) writeRecords(out, records, firstTime);
  else out.raw(packed);
  out.buf.writeInt32BE(out.at - start - lengthEnd, start + 8);
  out.buf.writeUInt32BE(crc32c(out.buf, summed, out.at), summed - 4);
}

function writeRecords(out: KafkaWriter, records: readonly OutRecord[], firstTime: number): void {
  for (let n = 0; n < records.length; n++) {
    const record = records[n]!;
    const { keyBytes, value, headers } = record;
    const timeDelta = record.timeMs - firstTime;
    const start = out.at;
    const headerBytes = headers === undefined ? 1 : sizeOfHeaders(headers);
    const body =
      1 +
      varintBytes(timeDelta) +
      varintBytes(n) +
      varintBytes(keyBytes) +
      keyBytes +
      varintBytes(value.length) +
      value.length +
      headerBytes;
    out.reserve(body + 5);
    out.varint(body);
    out.buf[out.at++] = 0; // attributes: none defined
    out.varint(timeDelta);
    out.varint(n);
    out.varint(keyBytes);
    out.utf8(record.key, keyBytes);
    // A record without a value, a tombstone, removes its key from a compacted topic; it takes as many bytes as an empty one.
    out.varint(value.length === 0 ? -1 : value.length);
    out.buf.set(value, out.at);
    out.at += value.length;
    if (headers === undefined) out.buf[out.at++] = 0;
    else writeHeaders(out, headers);
    if (out.at - start !== body + varintBytes(body))
      throw new RangeError(`record of ${body} bytes took ${out.at - start}`);
  }
}

function sizeOfHeaders(headers: Readonly<Record<string, string>>): number {
  let count = 0;
  let bytes = 0;
  for (const name in headers) {
    const nameBytes = Buffer.byteLength(name);
    const valueBytes = Buffer.byteLength(headers[name]!);
    bytes += varintBytes(nameBytes) + nameBytes + varintBytes(valueBytes) + valueBytes;
    count++;
  }
  return varintBytes(count) + bytes;
}

function writeHeaders(out: KafkaWriter, headers: Readonly<Record<string, string>>): void {
  let count = 0;
  for (const _ in headers) count++;
  out.varint(count);
  for (const name in headers) {
    const value = headers[name]!;
    const nameBytes = Buffer.byteLength(name);
    const valueBytes = Buffer.byteLength(value);
    out.varint(nameBytes);
    out.utf8(name, nameBytes);
    out.varint(valueBytes);
    out.utf8(value, valueBytes);
  }
}

export interface ReadRecords {
  /** Records, and in their place what cannot be read. */
  readonly records: LogRecord[];
  /**
   * The position after the last batch that was read, whether or not its records count; undefined where there was none.
   */
  readonly next: number | undefined;
  /** Of the records in memory: decompressed. */
  readonly bytes: number;
  /** How many of the records stand for what cannot be read. */
  readonly unreadable: number;
}

export interface ReadBounds {
  /** The end of the partition: no record lies at or behind it, as far as is known. */
  readonly end?: number;
  /** Decompressed. The batch that reaches it is the last one that is read; what follows is left for the next fetch. */
  readonly bytesMax?: number;
}

/** From the start of a batch to behind the field with its format. */
const formatEnd = 17;
const summedFrom = 21;
/** Of a batch without its first twelve bytes, which its length does not count. */
const lengthMin = batchOverheadBytes - lengthEnd;

/**
 * The records with `seq >= from` of the whole batches in `bytes`; the broker may cut the last one short. Batches of
 * control records (transaction markers of other producers) are one record with `emptyUntil`. Values are views into
 * `bytes`, or into what was decompressed from it: who keeps one for long, keeps the whole fetch, and should copy.
 *
 * Nothing that other producers, or a broken disk of the broker, put there makes it throw: a batch that cannot be read
 * is one record with `unreadable`, and the batches around it are read. The sum of each batch is checked, as Kafka's own
 * consumer does (`check.crcs`): the broker sends what lies on its disk without looking.
 */
export function readRecords(bytes: Buffer, from: number, bounds: ReadBounds = {}): ReadRecords {
  const { end = Number.MAX_SAFE_INTEGER, bytesMax = decompressedBytesMax } = bounds;
  const records: LogRecord[] = [];
  let next: number | undefined;
  let taken = 0;
  let unreadableCount = 0;
  let at = 0;
  while (at + formatEnd <= bytes.length && taken < bytesMax) {
    const length = bytes.readInt32BE(at + 8);
    const batchEnd = at + lengthEnd + length;
    if (length >= 0 && batchEnd > bytes.length) break;
    const batch = { bytes, at, end: batchEnd, from: Math.max(from, next ?? 0), logEnd: end };
    const format = bytes.readInt8(at + formatEnd - 1);
    if (format !== magic || length < lengthMin) {
      const expected = `expected a record batch of format ${magic} (Kafka 0.11 or newer)`;
      const got = format === magic ? `got a length of ${length} bytes` : `got one of format ${format}`;
      next = Math.max(next ?? 0, unreadable(batch, records, 'malformed', `${expected}, ${got}`).next);
      unreadableCount++;
      // Where the next batch starts is not known.
      if (length < formatEnd - lengthEnd) break;
    } else {
      const read = readBatch(batch, records);
      next = Math.max(next ?? 0, read.next);
      taken += read.bytes;
      if (read.isUnreadable) unreadableCount++;
    }
    at = batchEnd;
  }
  return { records, next, bytes: taken, unreadable: unreadableCount };
}

/** One batch in an answer. */
interface Batch {
  readonly bytes: Buffer;
  readonly at: number;
  readonly end: number;
  /** Everything before is dealt with. */
  readonly from: number;
  readonly logEnd: number;
}

interface ReadBatch {
  /** The position after it. */
  readonly next: number;
  readonly bytes: number;
  /** It has a record that stands for what cannot be read. */
  readonly isUnreadable: boolean;
}

/** Adds the records of one batch. */
function readBatch(batch: Batch, records: LogRecord[]): ReadBatch {
  const { bytes, at, end, from } = batch;
  const head = new KafkaReader(bytes, at);
  const firstSeq = head.int64();
  head.at = at + summedFrom;
  const attributes = head.int16();
  const next = firstSeq + head.int32() + 1;
  if (next <= from) return { next, bytes: 0, isUnreadable: false };
  const sum = bytes.readUInt32BE(at + summedFrom - 4);
  if (crc32c(bytes, at + summedFrom, end) !== sum) {
    return unreadable(batch, records, 'checksum', `expected the CRC-32C ${sum}, got that of other bytes`);
  }
  // The sum does not cover the first position: it is the broker's to give.
  if (firstSeq < 0 || next > batch.logEnd) {
    const message = `expected positions below ${batch.logEnd}, got ${firstSeq} to ${next - 1}`;
    return unreadable(batch, records, 'malformed', message);
  }
  if (attributes & controlBatch) {
    records.push(emptyRecord(Math.max(firstSeq, from), next));
    return { next, bytes: 0, isUnreadable: false };
  }
  const firstTime = head.int64();
  const maxTime = head.int64();
  head.at = at + batchOverheadBytes - 4;
  const count = head.int32();
  const fixedTime = attributes & logAppendTime ? maxTime : undefined;
  const codec = attributes & 0x07;
  if (codec === 0) {
    const facts = { firstSeq, next, count, firstTime, fixedTime, from, bytes: end - at };
    return readBody(head, end, facts, records);
  }
  const unpacked = decompress(codec, bytes.subarray(at + batchOverheadBytes, end));
  if ('reason' in unpacked) return unreadable(batch, records, unpacked.reason, unpacked.message);
  const { length } = unpacked.bytes;
  const facts = { firstSeq, next, count, firstTime, fixedTime, from, bytes: length };
  return readBody(new KafkaReader(unpacked.bytes), length, facts, records);
}

/** What the head of a batch states of its records. */
interface BatchFacts {
  readonly firstSeq: number;
  readonly next: number;
  readonly count: number;
  readonly firstTime: number;
  /** Of all records, where the broker gave it. */
  readonly fixedTime: number | undefined;
  readonly from: number;
  readonly bytes: number;
}

/** Adds the records that lie from where the reader is up to `end`. */
function readBody(body: KafkaReader, end: number, facts: BatchFacts, records: LogRecord[]): ReadBatch {
  const { next, count, from, bytes } = facts;
  // Up to here all is read, or need not be.
  let done = Math.max(facts.firstSeq, from);
  try {
    for (let n = 0; n < count; n++) {
      const record = readRecord(body, end, facts);
      if (record === undefined) continue;
      if (!(record.seq >= done && record.seq < next)) throw new RangeError(`position ${record.seq} after ${done}`);
      done = record.seq + 1;
      records.push(record);
    }
    return { next, bytes, isUnreadable: false };
  } catch (thrown) {
    // A RangeError, of ours or of Buffer.
    const message = `expected ${count} records, got other bytes: ${(thrown as Error).message}`;
    records.push(unreadableRecord(done, { until: next, reason: 'malformed', message }));
    return { next, bytes, isUnreadable: true };
  }
}

/** Undefined for one before `from`. */
function readRecord(body: KafkaReader, batchEnd: number, facts: BatchFacts): LogRecord | undefined {
  const { firstSeq, firstTime, fixedTime, from } = facts;
  const length = body.varint();
  const end = body.at + length;
  if (!(length >= 0 && end <= batchEnd)) throw new RangeError(`a record of ${length} bytes`);
  body.at++; // attributes
  const timeDelta = body.varint();
  const seq = firstSeq + body.varint();
  if (seq < from) {
    body.at = end;
    return undefined;
  }
  const key = body.text(body.varint());
  const valueBytes = body.varint();
  const value = valueBytes <= 0 ? nothing : body.view(valueBytes);
  const headerCount = body.varint();
  const headers = headerCount === 0 ? undefined : readHeaders(body, headerCount);
  if (body.at > end) throw new RangeError(`a record of ${length} bytes that takes ${body.at - end} more`);
  body.at = end;
  const timeMs = fixedTime ?? firstTime + timeDelta;
  return headers === undefined ? { seq, timeMs, key, value } : { seq, timeMs, key, value, headers };
}

/** Adds what stands for a batch that cannot be read. Answers where to read on, always behind `from`. */
function unreadable(batch: Batch, records: LogRecord[], reason: UnreadableReason, message: string): ReadBatch {
  const until = Math.max(endOf(batch, reason), batch.from + 1);
  records.push(unreadableRecord(batch.from, { until, reason, message }));
  return { next: until, bytes: 0, isUnreadable: true };
}

/**
 * Where a batch ends that cannot be read. Its own length may be what is broken: it counts where the sum holds, or
 * the batch behind it agrees. Else it is passed over position by position, which costs a fetch each and skips nothing
 * that is whole.
 */
function endOf({ bytes, at, end, from, logEnd }: Batch, reason: UnreadableReason): number {
  const firstSeq = new KafkaReader(bytes, at).int64();
  const isWhole = bytes.readInt8(at + formatEnd - 1) === magic && end - at >= batchOverheadBytes;
  const lastDelta = isWhole ? bytes.readInt32BE(at + summedFrom + 2) : 0;
  const claimed = firstSeq + lastDelta + 1;
  const isWithin = firstSeq >= 0 && lastDelta >= 0 && claimed <= logEnd;
  if (isWhole && isWithin && reason !== 'checksum') return claimed;
  if (end > at && end + formatEnd <= bytes.length && bytes.readInt8(end + formatEnd - 1) === magic) {
    const following = new KafkaReader(bytes, end).int64();
    if (following > from && following <= logEnd) return following;
  }
  // As every producer writes it: the last one is the last of so many.
  const isPlausible = isWhole && isWithin && bytes.readInt32BE(at + batchOverheadBytes - 4) === lastDelta + 1;
  return isPlausible ? claimed : from + 1;
}

const nothing = new Uint8Array(0);

function readHeaders(body: KafkaReader, count: number): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let n = 0; n < count; n++) {
    const name = body.text(body.varint());
    headers[name] = body.text(body.varint());
  }
  return headers;
}
