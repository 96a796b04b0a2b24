import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mutatedBytes, report, seeded, sentReport } from '../test/arbitraries.ts';
import { errorOf, resultOrError } from '../test/errors.ts';
import { TailraceError } from './error.ts';
import { tailrace } from './generated/tailrace.js';
import { decodeIotData, isIotData } from './iot-data-proto.ts';
import type { Quality, Report } from './report.ts';
import { batchedReports, decodeSentReport, encodeReport } from './report-proto.ts';
import { WireWriter } from './wire-writer.ts';

const { IoTData, ReportBatch } = tailrace.v1;
const simple = { deviceId: 'p.d', timestamp: 1_634_567_890_123, readings: [{ sensorId: 't', value: 1 }] };

/** Decodes, or throws. */
function decoded(bytes: Uint8Array): Report {
  const result = decodeIotData(bytes);
  if (result instanceof TailraceError) throw result;
  return result;
}

const qualities: readonly Quality[] = ['good', 'good', 'uncertain', 'bad'];

/** Messages of a sender: reports whose readings are numbers, and one quality for all. */
const message = fc
  .tuple(sentReport, fc.array(fc.double({ noNaN: true, noDefaultInfinity: true })), fc.integer({ min: 0, max: 3 }))
  .map(([{ device, time, readings, id }, values, quality]) => ({
    deviceId: device,
    timestamp: Math.round(time),
    readings: readings.map(({ tag, unit }, index) => ({
      sensorId: tag,
      value: (values[index] ?? index) + 0,
      ...(unit === undefined ? {} : { unit }),
    })),
    ...(id === undefined ? {} : { id }),
    quality,
  }));

/** Returns the report of what the generated code decodes. */
function reportOf(bytes: Uint8Array): Report {
  const { deviceId, timestamp, readings, id, quality } = IoTData.decode(bytes);
  return {
    device: deviceId,
    time: timestamp as number,
    readings: readings.map(({ sensorId, value, unit }) => ({
      tag: sensorId ?? '',
      value: value ?? 0,
      ...(unit ? { unit } : {}),
      ...(quality > 1 ? { quality: qualities[quality]! } : {}),
    })),
    ...(id === '' ? {} : { id }),
  };
}

test('decodes as the generated code does', () => {
  fc.assert(
    fc.property(message, (sent) => {
      const bytes = IoTData.encode(sent).finish();
      assert.deepEqual(decoded(bytes), reportOf(bytes));
      assert.equal(isIotData(bytes), true);
    }),
    { ...seeded, numRuns: 400 },
  );
});

test('a ReportBatch is never taken for an IoTData, and decodes as before', () => {
  fc.assert(
    fc.property(fc.array(report, { maxLength: 4 }), (reports) => {
      const writer = new WireWriter();
      const bytes = Buffer.concat(
        reports.flatMap((each) => {
          const encoded = encodeReport(each);
          writer.reset();
          writer.byte(0x0a);
          writer.varint(encoded.length);
          return [writer.finish(), encoded];
        }),
      );
      assert.equal(ReportBatch.decode(bytes).reports.length, reports.length);
      assert.equal(isIotData(bytes), false);
    }),
    { ...seeded, numRuns: 200 },
  );
  // Unknown fields of a later version.
  assert.equal(isIotData(Uint8Array.from([0x22, 1, 0x61, 0x0a, 0])), false);
});

const bytesOf = (...parts: readonly (Uint8Array | readonly number[])[]) =>
  Uint8Array.from(parts.flatMap((part) => [...part]));
const head = IoTData.encode({ deviceId: 'p.d', readings: [{ sensorId: 't', value: 1 }] }).finish();
const double = (value: number) => [...new Uint8Array(Float64Array.of(value).buffer)];
const float = (value: number) => [...new Uint8Array(Float32Array.of(value).buffer)];
const varint = (value: bigint): number[] => {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
};
const field = (tag: number, bytes: readonly number[]) => [tag, bytes.length, ...bytes];
const text = (tag: number, value: string) => field(tag, [...Buffer.from(value)]);

test('a timestamp is an int64, a double or a google.protobuf.Timestamp', () => {
  const timestamp = [0x08, ...varint(1_634_567_890n), 0x10, ...varint(123_500_000n)];
  for (const [bytes, time] of [
    [[0x10, ...varint(1_634_567_890_123n)], 1_634_567_890_123],
    [[0x11, ...double(1_634_567_890_123.25)], 1_634_567_890_123.25],
    [field(0x12, timestamp), 1_634_567_890_123.5],
    [[], 0],
    [[0x10, 0], 0],
    [[0x12, 0], 0],
    // The last one wins.
    [[0x10, 5, 0x11, ...double(1_634_567_890_123)], 1_634_567_890_123],
  ] as const)
    assert.equal(decoded(bytesOf(head, bytes)).time, time);
});

test('a timestamp in another unit or of another type is refused, and not replaced by the time of ingest', () => {
  for (const [bytes, expected] of [
    [[0x10, ...varint(1_634_567_890n)], /^timestamp: .*; probably in seconds$/],
    [[0x10, ...varint(1_634_567_890_123_456n)], /^timestamp: .*; probably in microseconds$/],
    [[0x10, ...varint(1_634_567_890_123_456_789n)], /^timestamp: .*; probably in nanoseconds$/],
    [[0x10, ...varint(2n ** 63n - 1n)], /^timestamp: .*; probably in nanoseconds$/],
    [[0x10, ...varint(-1n)], /^timestamp: expected milliseconds since 1970, got -1$/],
    [[0x10, ...varint(-(2n ** 63n))], /^timestamp: .*, got -9223372036854776000$/],
    [[0x11, ...double(Number.NaN)], /^timestamp: .*, got NaN$/],
    [text(0x12, '2021-10-18T14:38:10Z'), /^timestamp: expected .* or a google.protobuf.Timestamp, got another type$/],
    [field(0x12, [0x0a, 0]), /^timestamp: .*, got another type$/],
    [[0x15, ...float(5)], /^timestamp: .*, got another type$/],
    [
      field(0x12, [0x08, 5, 0x10, ...varint(1_000_000_000n)]),
      /^timestamp\.nanos: expected 0 to 999999999, got 1000000000$/,
    ],
    [field(0x12, [0x10, ...varint(-1n)]), /^timestamp\.nanos: .*, got -1$/],
  ] as const)
    assert.match(errorOf(() => decoded(bytesOf(head, bytes)), 'invalid_report').message, expected);
});

test('a value is a double, a float, a text or a boolean; absent, as proto3 sends 0, it is 0', () => {
  const valueFrom = (...value: readonly number[]) =>
    decoded(bytesOf(text(0x0a, 'p.d'), field(0x1a, [...text(0x0a, 't'), ...value]))).readings[0]!.value;
  assert.equal(valueFrom(0x11, ...double(-42.5)), -42.5);
  assert.equal(valueFrom(0x15, ...float(42.5)), 42.5);
  assert.equal(valueFrom(...text(0x12, 'ü')), 'ü');
  assert.equal(valueFrom(0x10, 1), true);
  assert.equal(valueFrom(0x10, 0), false);
  assert.equal(valueFrom(), 0);
  for (const [value, found] of [
    [[0x10, ...varint(42n)], 'the integer 42'],
    [[0x10, ...varint(-1n)], 'the integer -1'],
    [[0x13], 'wire type 3'],
  ] as const) {
    const { message } = errorOf(() => valueFrom(...value), 'invalid_report');
    assert.equal(message, `readings[0].value: expected a double, float, text or boolean, got ${found}`);
  }
});

test('content is validated as that of a report', () => {
  const encoded = (change: object) => IoTData.encode({ ...simple, ...change }).finish();
  const one = (change: object) => encoded({ readings: [{ ...simple.readings[0]!, ...change }] });
  for (const [bytes, expected] of [
    [encoded({ readings: [] }), /^readings: expected 1 to 1000 items, got 0$/],
    [encoded({ readings: new Array(1_001).fill(simple.readings[0]) }), /^readings: .*, got 1001$/],
    [encoded({ id: 'x'.repeat(65) }), /^id: expected /],
    [encoded({ quality: 4 }), /^quality: expected 0 to 3, got 4$/],
    [one({ sensorId: '' }), /^readings\[0\]\.sensor_id: expected .*, got ""$/],
    [one({ value: Number.POSITIVE_INFINITY }), /^readings\[0\]\.value: .*, got Infinity$/],
    [one({ unit: 'x'.repeat(33) }), /^readings\[0\]\.unit: /],
  ] as const)
    assert.match(errorOf(() => decoded(bytes), 'invalid_report').message, expected);
  errorOf(() => decoded(encoded({ deviceId: 'a b' })), 'invalid_path');
  errorOf(() => decoded(encoded({ deviceId: '' })), 'invalid_path');
  const large = new Array(100).fill({ sensorId: 't', value: 1, unit: 'x'.repeat(3_000) });
  assert.match(errorOf(() => decoded(encoded({ readings: large })), 'too_large').message, /at most 262144 bytes, got/);
});

test('unknown fields are ignored', () => {
  const reading = field(0x1a, [...text(0x0a, 't'), 0x11, ...double(1), ...text(0x22, 'more'), 0x28, 7]);
  const bytes = bytesOf(text(0x0a, 'p.d'), [0x10, ...varint(1_634_567_890_123n)], reading, text(0x32, 'more'));
  assert.deepEqual(decoded(bytes), decoded(IoTData.encode(simple).finish()));
});

test('garbage and changed bytes are refused with an error of the product, and what is decoded can be encoded', () => {
  const values = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    message.chain((sent) => mutatedBytes(IoTData.encode(sent).finish())),
  );
  fc.assert(
    fc.property(values, (bytes) => {
      const read = resultOrError(() => decoded(bytes), 'invalid_report', 'invalid_path');
      if (read !== undefined && read.time !== 0) assert.deepEqual(decodeSentReport(encodeReport(read)), read);
      resultOrError(() => isIotData(bytes), 'invalid_report');
      resultOrError(() => batchedReports(bytes, 10, 'IoTDataBatch').map(decodeIotData), 'invalid_report', 'too_large');
    }),
    { ...seeded, numRuns: 3_000 },
  );
});
