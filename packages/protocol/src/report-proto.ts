import { TailraceError } from './error.ts';
import { partitionsMax } from './partition.ts';
import { assertDevicePath } from './path.ts';
import { assertTime, invalidReport, type Reading } from './reading.ts';
import { iotDataHint, readReading, type WireSource, writeReading } from './reading-proto.ts';
import { assertReadingCount, assertReportId, type Delivery, type Report, type ReportClock } from './report.ts';
import { reportLimits } from './report-limits.ts';
import { reportTags } from './report-tags.ts';
import { bytesOf } from './slab.ts';
import { assertSourceTime } from './source-time.ts';
import { WireReader } from './wire-reader.ts';
import { varintBytes, WireWriter, writeVarint } from './wire-writer.ts';

/**
 * A hand-written Protobuf codec of reports: every reading is encoded and decoded here. Four readings take 0.36 µs to
 * encode and 0.6 µs to decode. The generated code takes 1.4 µs and 0.97 µs, with the conversion to `Report`. Tests
 * compare with the generated code.
 */
const writer = new WireWriter();

/**
 * Encodes a valid report as Protobuf `Report`, the device first. `received` (epoch ms) replaces the report's own, so
 * that ingest copies nothing. Throws `too_large` over `reportLimits.encodedBytesMax`.
 */
export function encodeReport(report: Report, received: number | undefined = report.received): Uint8Array {
  writer.reset();
  writer.textField(reportTags.device, report.device);
  if (report.time !== 0) writer.doubleField(reportTags.time, report.time);
  const { readings, id } = report;
  for (let index = 0; index < readings.length; index++) {
    const start = writer.openField(reportTags.readings);
    writeReading(writer, readings[index]!);
    writer.closeField(start);
    if (writer.at > reportLimits.encodedBytesMax) throw tooLarge(report.device);
  }
  if (id !== undefined && id !== '') writer.textField(reportTags.id, id);
  if (received !== undefined && received !== 0) writer.doubleField(reportTags.received, received);
  if (report.clock !== undefined) {
    writer.byte(reportTags.clock);
    writer.byte(report.clock === 'ahead' ? 1 : 2);
  }
  if (report.historical === true) {
    writer.byte(reportTags.historical);
    writer.byte(1);
  }
  return writer.finish();
}

function tooLarge(device: string): TailraceError {
  return new TailraceError(
    'too_large',
    `report of ${device}: expected at most ${reportLimits.encodedBytesMax} bytes, got more: send its readings in several reports`,
  );
}

/**
 * Decodes a Protobuf `Report` of the log, whose content ingest has validated. Throws `invalid_report` for malformed
 * bytes.
 */
export function decodeReport(bytes: Uint8Array): Report {
  return reportOf(readFields(new WireReader(bytes, 'invalid_report'), 'log'));
}

function assertSize(bytes: Uint8Array): void {
  const max = reportLimits.encodedBytesMax;
  if (bytes.length > max)
    throw invalidReport(`report: expected at most ${max} bytes, got ${bytes.length}`, 'too_large');
}

/**
 * Returns the bytes of each report of a Protobuf `ReportBatch`, for `decodeSentReport`, or of another message whose
 * reports are in field 1. Throws `invalid_report` for a malformed or empty batch, `too_large` for more than `max`
 * reports.
 */
export function batchedReports(bytes: Uint8Array, max: number, message = 'ReportBatch'): readonly Uint8Array[] {
  const reader = new WireReader(bytes, 'invalid_report');
  const reports: Uint8Array[] = [];
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag !== 0x0a) {
      reader.skip(tag & 7);
      continue;
    }
    if (reports.length === max) {
      throw new TailraceError('too_large', `batch: expected at most ${max} reports, got more: send several batches`);
    }
    reports.push(reader.slice());
  }
  if (reports.length === 0)
    throw invalidReport(`batch: expected a message ${message} with at least one report, got none`);
  return reports;
}

/**
 * Decodes a sender's report, and validates it as `reportFromJson` does. Returns the report, or the error of an invalid
 * one.
 */
export function decodeSentReport(bytes: Uint8Array): Report | TailraceError {
  try {
    assertSize(bytes);
    const fields = readFields(new WireReader(bytes, 'invalid_report'), 'sender');
    if (fields.received !== 0) return invalidReport('received: expected a report without it, since ingest sets it');
    if (fields.clock !== 0) return invalidReport('clock: expected a report without it, since ingest sets it');
    if (fields.time !== 0) assertSourceTime(fields.time, 'time');
    return checkedReportOf(fields);
  } catch (error) {
    if (error instanceof TailraceError) return error;
    throw error;
  }
}

/**
 * Returns the bytes of a `Delivery`: those of the `Report`, followed by its position. Fields 1 to 5 of both messages
 * are the same, so that no report is encoded again between the log and the socket.
 */
export function deliveryBytes(reportBytes: Uint8Array, partition: number, seq: number, delta = false): Uint8Array {
  const bytes = bytesOf(reportBytes.length + 2 + varintBytes(partition) + varintBytes(seq) + (delta ? 2 : 0));
  bytes.set(reportBytes);
  bytes[reportBytes.length] = reportTags.partition;
  const at = writeVarint(bytes, reportBytes.length + 1, partition);
  bytes[at] = reportTags.seq;
  const end = writeVarint(bytes, at + 1, seq);
  if (delta) {
    bytes[end] = reportTags.delta;
    bytes[end + 1] = 1;
  }
  return bytes;
}

/** Decodes and validates a `Delivery`. Throws `invalid_report`, `invalid_path`. */
export function decodeDelivery(bytes: Uint8Array): Delivery {
  const fields = readFields(new WireReader(bytes, 'invalid_report'), 'server');
  const { partition, seq, delta } = fields;
  if (partition >= partitionsMax)
    throw invalidReport(`partition: expected an integer below ${partitionsMax}, got ${partition}`);
  const report = checkedReportOf(fields, delta);
  return delta ? { ...report, partition, seq, delta } : { ...report, partition, seq };
}

/** The fields of a Report or a Delivery, with proto3's defaults. */
interface Fields {
  device: string;
  time: number;
  readings: Reading[];
  id: string;
  received: number;
  partition: number;
  seq: number;
  delta: boolean;
  clock: number;
  historical: boolean;
}

/** Clocks by number. A value of a later version means that the times are unreliable. */
const clocks: readonly (ReportClock | undefined)[] = [undefined, 'ahead', 'ingest'];

/** Field 2 of `IoTData` has another type, and as a report it would lose its time. */
const timeNumber = reportTags.time >>> 3;

/** The last of a repeated field wins; a field of another wire type is an unknown field (proto3). */
function readFields(reader: WireReader, source: WireSource): Fields {
  const fields: Fields = {
    device: '',
    time: 0,
    readings: [],
    id: '',
    received: 0,
    partition: 0,
    seq: 0,
    delta: false,
    clock: 0,
    historical: false,
  };
  while (reader.at < reader.end) {
    const tag = reader.tag();
    switch (tag) {
      case reportTags.device:
        fields.device = reader.repeatedText();
        break;
      case reportTags.time:
        fields.time = reader.double();
        break;
      case reportTags.readings:
        if (source !== 'log') assertReadingCount(fields.readings.length + 1);
        fields.readings.push(readReading(reader, fields.readings.length, source));
        break;
      case reportTags.id:
        fields.id = reader.text();
        break;
      case reportTags.received:
        fields.received = reader.double();
        break;
      case reportTags.partition:
        fields.partition = reader.varint();
        break;
      case reportTags.seq:
        fields.seq = reader.varint();
        break;
      case reportTags.delta:
        fields.delta = reader.varint() !== 0;
        break;
      case reportTags.clock:
        fields.clock = reader.varint();
        break;
      case reportTags.historical:
        fields.historical = reader.varint() !== 0;
        break;
      default:
        if (tag >>> 3 === timeNumber && source === 'sender')
          throw invalidReport(`time: expected a double, got wire type ${tag & 7}; ${iotDataHint}`);
        reader.skip(tag & 7);
    }
  }
  return fields;
}

function reportOf(fields: Fields): Report {
  const report = liveReportOf(fields);
  return fields.historical ? { ...report, historical: true } : report;
}

function liveReportOf(fields: Fields): Report {
  const { device, time, readings, id, received } = fields;
  if (fields.clock !== 0) {
    const sent = received === 0 ? {} : { received };
    return { device, time, readings, ...(id === '' ? {} : { id }), ...sent, clock: clocks[fields.clock] ?? 'ahead' };
  }
  if (id === '') return received === 0 ? { device, time, readings } : { device, time, readings, received };
  return received === 0 ? { device, time, readings, id } : { device, time, readings, id, received };
}

/** `mayBeEmpty`: a delta in which nothing has changed may have no readings. */
function checkedReportOf(fields: Fields, mayBeEmpty = false): Report {
  assertDevicePath(fields.device);
  assertTime(fields.time, 'time');
  if (!mayBeEmpty || fields.readings.length > 0) assertReadingCount(fields.readings.length);
  if (fields.id !== '') assertReportId(fields.id);
  assertTime(fields.received, 'received');
  return reportOf(fields);
}
