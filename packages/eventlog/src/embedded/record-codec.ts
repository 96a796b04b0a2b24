import { type LogRecord, type NewRecord, unreadableRecord } from '../event-log.ts';

/**
 * The encoding of a record in the embedded log, little endian:
 *
 *     0   f64  time of appending, epoch ms
 *     8   f64  running sum: bytes of all records of the partition since it was created, this one included
 *     16  u16  bytes of the key
 *     18  u32  bytes of the headers; 0 without headers
 *     22       key (UTF-8), headers (JSON, UTF-8), value
 *
 * With the running sum, the size of any range of a partition is the difference of two records: retention by bytes needs
 * no counters that a crash could invalidate.
 */
const headBytes = 22;

export interface EncodedRecord {
  readonly bytes: Buffer;
  /** The record for readers. Its value is a view of `bytes`. */
  readonly record: LogRecord;
  /** The running sum after this record. */
  readonly sumBytes: number;
}

/** Returns an upper bound of the size without headers, which are short: a trace context. */
export function encodedSize(record: NewRecord): number {
  // UTF-8 has at most three bytes for each UTF-16 unit.
  return headBytes + record.key.length * 3 + record.value.length;
}

export function encodeRecord(record: NewRecord, seq: number, timeMs: number, sumBytesBefore: number): EncodedRecord {
  const { key, headers } = record;
  const headerText = headers === undefined ? '' : JSON.stringify(headers);
  const keyBytes = Buffer.byteLength(key);
  const headerBytes = headerText === '' ? 0 : Buffer.byteLength(headerText);
  const valueAt = headBytes + keyBytes + headerBytes;
  const bytes = Buffer.allocUnsafe(valueAt + record.value.length);
  const sumBytes = sumBytesBefore + bytes.length;
  bytes.writeDoubleLE(timeMs, 0);
  bytes.writeDoubleLE(sumBytes, 8);
  bytes.writeUInt16LE(keyBytes, 16);
  bytes.writeUInt32LE(headerBytes, 18);
  bytes.write(key, headBytes);
  if (headerBytes > 0) bytes.write(headerText, headBytes + keyBytes);
  bytes.set(record.value, valueAt);
  const value = bytes.subarray(valueAt);
  return {
    bytes,
    record: headers === undefined ? { seq, timeMs, key, value } : { seq, timeMs, key, value, headers: { ...headers } },
    sumBytes,
  };
}

/** Returns a record, or an `unreadable` one for damaged bytes: another program or the disk has changed the file. */
export function decodeRecord(bytes: Buffer, seq: number): LogRecord {
  const keyEnd = bytes.length < headBytes ? 0 : headBytes + bytes.readUInt16LE(16);
  const valueAt = keyEnd === 0 ? 0 : keyEnd + bytes.readUInt32LE(18);
  if (valueAt === 0 || valueAt > bytes.length) return damaged(seq, `expected a record, got ${bytes.length} bytes`);
  const timeMs = timeOf(bytes);
  const key = bytes.toString('utf8', headBytes, keyEnd);
  const value = bytes.subarray(valueAt);
  if (valueAt === keyEnd) return { seq, timeMs, key, value };
  const headers = headersFrom(bytes.toString('utf8', keyEnd, valueAt));
  return headers === undefined ? damaged(seq, 'expected JSON headers') : { seq, timeMs, key, value, headers };
}

function damaged(seq: number, message: string): LogRecord {
  return unreadableRecord(seq, { until: seq + 1, reason: 'malformed', message });
}

function headersFrom(text: string): Record<string, string> | undefined {
  try {
    const headers: unknown = JSON.parse(text);
    return typeof headers === 'object' && headers !== null ? (headers as Record<string, string>) : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the time of a record; 0 for damaged bytes. */
export function timeOf(bytes: Buffer): number {
  return bytes.length < headBytes ? 0 : bytes.readDoubleLE(0);
}

/** Returns the running sum of a record; 0 for damaged bytes. */
export function sumBytesOf(bytes: Buffer): number {
  return bytes.length < headBytes ? 0 : bytes.readDoubleLE(8);
}
