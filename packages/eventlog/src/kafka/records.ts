/**
 * Kafka's record batches, magic 2 (https://kafka.apache.org/documentation/#recordbatch): the form of records in Produce
 * requests, in Fetch answers and on the broker's disk.
 */

import type { LogRecord } from '../eventlog.ts';
import { KafkaReader, KafkaWriter, varintBytes } from './bytes.ts';
import { type KafkaCodec, unpack } from './codecs.ts';
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
    out.varint(value.length);
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
  readonly records: LogRecord[];
  /** The position after the last whole batch, whether or not its records count; undefined where there was none. */
  readonly next: number | undefined;
}

/**
 * The records with `seq >= from` of the whole batches in `bytes`; the broker may cut the last one short. Batches of
 * control records (transaction markers of other producers) are passed over. Values are views into `bytes`, or into
 * what was unpacked from it: who keeps one for long, keeps the whole fetch, and should copy.
 */
export function readRecords(bytes: Buffer, from: number): ReadRecords {
  const records: LogRecord[] = [];
  let next: number | undefined;
  let at = 0;
  while (at + batchOverheadBytes <= bytes.length) {
    const end = at + lengthEnd + bytes.readInt32BE(at + 8);
    if (end > bytes.length) break;
    if (bytes.readInt8(at + 16) !== magic) {
      throw new RangeError(`record batch of format ${bytes.readInt8(at + 16)}; only 2 (Kafka 0.11 and newer) is read`);
    }
    next = readBatch(bytes.subarray(at, end), from, records);
    at = end;
  }
  return { records, next };
}

/** Adds the records of one batch; answers with the position after it. */
function readBatch(batch: Buffer, from: number, records: LogRecord[]): number {
  const head = new KafkaReader(batch);
  const firstSeq = head.int64();
  head.at = 21;
  const attributes = head.int16();
  const next = firstSeq + head.int32() + 1;
  if (next <= from || attributes & controlBatch) return next;
  const firstTime = head.int64();
  const maxTime = head.int64();
  head.at = batchOverheadBytes - 4;
  const count = head.int32();
  const codec = attributes & 0x07;
  const body = codec === 0 ? head : new KafkaReader(unpack(codec, batch.subarray(batchOverheadBytes)));
  const fixedTime = attributes & logAppendTime ? maxTime : undefined;
  for (let n = 0; n < count; n++) {
    const length = body.varint();
    const end = body.at + length;
    body.at++; // attributes
    const timeMs = firstTime + body.varint();
    const seq = firstSeq + body.varint();
    if (seq < from) {
      body.at = end;
      continue;
    }
    const key = body.text(body.varint());
    const valueBytes = body.varint();
    // A record without a value marks a key as deleted in a compacted topic; ours never write one.
    const value = valueBytes <= 0 ? nothing : body.view(valueBytes);
    const headerCount = body.varint();
    const time = fixedTime ?? timeMs;
    records.push(
      headerCount === 0
        ? { seq, timeMs: time, key, value }
        : { seq, timeMs: time, key, value, headers: readHeaders(body, headerCount) },
    );
    body.at = end;
  }
  return next;
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
