/**
 * Kafka's record batches, magic 2 (https://kafka.apache.org/documentation/#recordbatch): the format of records in
 * Produce requests, in Fetch responses and on the disk of the broker.
 */

import { emptyRecord, type LogRecord, type UnreadableReason, unreadableRecord } from '../event-log.ts';
import { KafkaReader, KafkaWriter, varintBytes } from './bytes.ts';
import { decompress, decompressedBytesMax, type KafkaCodec } from './codecs.ts';
import { crc32c } from './crc32c.ts';

/** A record to be produced, with precomputed sizes. */
export interface ProducerRecord {
  readonly key: string;
  /** Size of the key in UTF-8. */
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

/** Size of a batch before its first record. */
export const batchOverheadBytes = 61;
const magic = 2;
const logAppendTime = 0x08;
const controlBatch = 0x20;
/** Offset of the field after the length of a batch. */
const lengthEnd = 12;

/** Writes one batch with these records, in order. */
export async function writeBatch(
  out: KafkaWriter,
  records: readonly ProducerRecord[],
  identity: BatchIdentity,
  codec: KafkaCodec,
): Promise<void> {
  const firstTime = records[0]!.timeMs;
  let maxTime = firstTime;
  for (const record of records) if (record.timeMs > maxTime) maxTime = record.timeMs;
  let compressed: Uint8Array | undefined;
  if (codec.compress !== undefined) {
    const plain = new KafkaWriter(16_384);
    writeRecords(plain, records, firstTime);
    compressed = await codec.compress(plain.buffer);
  }
  out.reserve(batchOverheadBytes);
  const start = out.at;
  out.int64(0); // first offset: assigned by the broker
  out.int32(0); // length: below
  out.int32(-1); // leader epoch: assigned by the broker
  out.int8(magic);
  out.uint32(0); // CRC: below
  const checksumFrom = out.at;
  out.int16(codec.attribute);
  out.int32(records.length - 1);
  out.int64(firstTime);
  out.int64(maxTime);
  out.int64(identity.producerId);
  out.int16(identity.producerEpoch);
  out.int32(identity.firstSequence);
  out.int32(records.length);
  if (compressed === undefined) writeRecords(out, records, firstTime);
  else out.raw(compressed);
  out.buf.writeInt32BE(out.at - start - lengthEnd, start + 8);
  out.buf.writeUInt32BE(crc32c(out.buf, checksumFrom, out.at), checksumFrom - 4);
}

function writeRecords(out: KafkaWriter, records: readonly ProducerRecord[], firstTime: number): void {
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
    // A null value is a tombstone, which removes its key from a compacted topic. Its size is that of an empty value.
    out.varint(value.length === 0 ? -1 : value.length);
    out.buf.set(value, out.at);
    out.at += value.length;
    if (headers === undefined) out.buf[out.at++] = 0;
    else writeHeaders(out, headers);
    if (out.at - start !== body + varintBytes(body))
      throw new RangeError(`record: expected ${body} bytes, got ${out.at - start}`);
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
  /** Records, and an `unreadable` one for each range that cannot be read. */
  readonly records: LogRecord[];
  /** The position after the last batch, also if its records were skipped; undefined without a batch. */
  readonly next: number | undefined;
  /** Decompressed size of the records. */
  readonly bytes: number;
  /** Number of `unreadable` records. */
  readonly unreadable: number;
}

export interface ReadBounds {
  /** The end of the partition: no record is at or beyond it, as far as known. */
  readonly end?: number;
  /** Most decompressed bytes. The batch that reaches it is the last one; the next fetch reads the following ones. */
  readonly bytesMax?: number;
}

/** Offset after the field with the format (magic) of a batch. */
const formatEnd = 17;
const summedFrom = 21;
/** Least length of a batch, which does not include its first twelve bytes. */
const lengthMin = batchOverheadBytes - lengthEnd;

/**
 * Returns the records with `seq >= from` of the complete batches in `bytes`; the broker may truncate the last one. A
 * batch of control records (transaction markers of other producers) is one record with `emptyUntil`. Values are views
 * of `bytes`, or of the decompressed bytes: a value that is kept for long keeps the whole fetch in memory, and should
 * be copied.
 *
 * Never throws for any bytes of other producers or of a broken disk: a batch that cannot be read is one record with
 * `unreadable`, and the other batches are read. The checksum of each batch is verified, as Kafka's own consumer does
 * (`check.crcs`): the broker does not verify it when it sends a batch.
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
      // The start of the next batch is not known.
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

/** One batch in a response. */
interface Batch {
  readonly bytes: Buffer;
  readonly at: number;
  readonly end: number;
  /** Records before it are skipped. */
  readonly from: number;
  readonly logEnd: number;
}

interface ReadBatch {
  /** The position after it. */
  readonly next: number;
  readonly bytes: number;
  /** Whether it has an `unreadable` record. */
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
    return unreadable(batch, records, 'checksum', `CRC-32C: expected ${sum}, got another`);
  }
  // The checksum does not cover the first position, which the broker assigns.
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

/** The header of a batch. */
interface BatchHeader {
  readonly firstSeq: number;
  readonly next: number;
  readonly count: number;
  readonly firstTime: number;
  /** Time of all records, if the broker has assigned it. */
  readonly fixedTime: number | undefined;
  readonly from: number;
  readonly bytes: number;
}

/** Adds the records from the position of the reader up to `end`. */
function readBody(body: KafkaReader, end: number, facts: BatchHeader, records: LogRecord[]): ReadBatch {
  const { next, count, from, bytes } = facts;
  // Records before it are read or skipped.
  let done = Math.max(facts.firstSeq, from);
  try {
    for (let n = 0; n < count; n++) {
      const record = readRecord(body, end, facts);
      if (record === undefined) continue;
      if (!(record.seq >= done && record.seq < next))
        throw new RangeError(`expected position ${done} or later, got ${record.seq}`);
      done = record.seq + 1;
      records.push(record);
    }
    return { next, bytes, isUnreadable: false };
  } catch (thrown) {
    const message = `expected ${count} records, got other bytes: ${(thrown as Error).message}`;
    records.push(unreadableRecord(done, { until: next, reason: 'malformed', message }));
    return { next, bytes, isUnreadable: true };
  }
}

/** Reads a record; returns undefined for one before `from`. */
function readRecord(body: KafkaReader, batchEnd: number, facts: BatchHeader): LogRecord | undefined {
  const { firstSeq, firstTime, fixedTime, from } = facts;
  const length = body.varint();
  const end = body.at + length;
  if (!(length >= 0 && end <= batchEnd)) throw new RangeError(`record: invalid length of ${length} bytes`);
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
  if (body.at > end) throw new RangeError(`record: expected ${length} bytes, got ${body.at - end} more`);
  body.at = end;
  const timeMs = fixedTime ?? firstTime + timeDelta;
  return headers === undefined ? { seq, timeMs, key, value } : { seq, timeMs, key, value, headers };
}

/** Adds an `unreadable` record for a batch. Returns the next position, which is always after `from`. */
function unreadable(batch: Batch, records: LogRecord[], reason: UnreadableReason, message: string): ReadBatch {
  const until = Math.max(endOf(batch, reason), batch.from + 1);
  records.push(unreadableRecord(batch.from, { until, reason, message }));
  return { next: until, bytes: 0, isUnreadable: true };
}

/**
 * Returns the position after a batch that cannot be read. Its own fields may be damaged: they count if the checksum is
 * valid, or the next batch agrees. Otherwise one position is skipped at a time, which costs a fetch each and loses no
 * readable record.
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
  // Every producer writes a count that matches the last offset.
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
