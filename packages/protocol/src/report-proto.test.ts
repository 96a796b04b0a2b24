import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { delivery, mutatedBytes, report, seeded } from '../test/arbitraries.ts';
import { errorOf, resultOrError } from '../test/errors.ts';
import { validatedReport } from '../test/validated-report.ts';
import { deliveryFromJson } from './delivery.ts';
import { TailraceError } from './error.ts';
import { tailrace } from './generated/tailrace.js';
import type { Report } from './report.ts';
import { parseReportHeader } from './report-header.ts';
import { deliveryJson } from './report-json.ts';
import {
  batchedReports,
  decodeDelivery,
  decodeReport,
  decodeSentReport,
  deliveryBytes,
  encodeReport,
} from './report-proto.ts';

const { v1 } = tailrace;
const simple: Report = { device: 'p.d', time: 5, readings: [{ tag: 't', value: 1 }] };

/** Converts the report to the form of the generated code. */
function generatedFrom(value: Report): tailrace.v1.Report.$Properties {
  const { Quality } = v1;
  const readings = value.readings.map(({ value: measured, quality, ...rest }) => ({
    ...rest,
    ...(typeof measured === 'number'
      ? { number: measured }
      : typeof measured === 'string'
        ? { text: measured }
        : { boolean: measured }),
    ...(quality === 'bad' ? { quality: Quality.QUALITY_BAD } : {}),
    ...(quality === 'uncertain' ? { quality: Quality.QUALITY_UNCERTAIN } : {}),
  }));
  const { clock, ...rest } = value;
  const { CLOCK_AHEAD, CLOCK_INGEST } = v1.Clock;
  return { ...rest, readings, ...(clock && { clock: clock === 'ahead' ? CLOCK_AHEAD : CLOCK_INGEST }) };
}

/** Decodes each report of a batch to the report or its error. */
const decodeReportBatch = (bytes: Uint8Array, max: number) => batchedReports(bytes, max).map(decodeSentReport);

test('encodes to the same bytes as the generated code', () => {
  fc.assert(
    fc.property(report, (value) => {
      assert.deepEqual(Buffer.from(encodeReport(value)), Buffer.from(v1.Report.encode(generatedFrom(value)).finish()));
    }),
    { ...seeded, numRuns: 400 },
  );
});

test('a report survives a round trip through Protobuf, validated or not', () => {
  fc.assert(
    fc.property(report, (value) => {
      const bytes = encodeReport(value);
      assert.deepEqual(validatedReport(bytes), value);
      assert.deepEqual(decodeReport(bytes), value);
      assert.equal(parseReportHeader(bytes).device, value.device);
    }),
    { ...seeded, numRuns: 400 },
  );
});

test('texts beyond ASCII, with lengths around the sizes of a varint, survive', () => {
  for (const length of [1, 42, 43, 63, 64, 127, 128, 129, 1365, 4096]) {
    for (const letter of ['x', 'ä', '温']) {
      const value: Report = {
        ...simple,
        readings: [
          { tag: 't', value: letter.repeat(length) },
          { tag: 'u', value: 2 },
        ],
      };
      assert.deepEqual(validatedReport(encodeReport(value)), value);
    }
  }
});

test('encoding a report does not change bytes encoded before', () => {
  const all = Array.from({ length: 2000 }, (_, index): Report => ({ ...simple, id: `i${index}` }));
  const bytes = all.map((value) => encodeReport(value));
  assert.deepEqual(
    bytes.map((each) => validatedReport(each)),
    all,
  );
});

test('the argument `received` replaces the report’s own', () => {
  assert.equal(decodeReport(encodeReport({ ...simple, received: 7 }, 9)).received, 9);
  assert.equal(decodeReport(encodeReport(simple, 9)).received, 9);
});

test('a report over the size limit is too large', () => {
  const readings = Array.from({ length: 100 }, () => ({ tag: 't', value: 'x'.repeat(4096) }));
  assert.match(
    errorOf(() => encodeReport({ ...simple, readings }), 'too_large').message,
    /^report of p\.d: expected at most 262144 bytes, got more/,
  );
  const sent = decodeSentReport(new Uint8Array(300_000));
  assert.ok(sent instanceof TailraceError);
  assert.equal(sent.code, 'too_large');
});

test('a delivery has the bytes of its report and its position', () => {
  fc.assert(
    fc.property(delivery, ({ partition, seq, ...value }) => {
      const bytes = deliveryBytes(encodeReport(value), partition, seq);
      const generated = v1.Delivery.decode(bytes);
      assert.equal(generated.partition, partition);
      assert.equal(generated.seq, seq);
      assert.equal(generated.device, value.device);
      assert.equal(generated.readings.length, value.readings.length);
      assert.deepEqual(decodeDelivery(bytes), { ...value, partition, seq });
      // Fields 1 to 5 and 9 of Delivery and Report are the same.
      const { partition: _, seq: __, ...rest } = v1.Delivery.decode(v1.Delivery.encode(generatedFrom(value)).finish());
      assert.deepEqual({ ...rest }, { ...v1.Report.decode(encodeReport(value)) });
    }),
    { ...seeded, numRuns: 200 },
  );
});

test('content is validated as in JSON, except in the log', () => {
  const bytesOf = (change: object) => v1.Report.encode({ ...generatedFrom(simple), ...change }).finish();
  const one = (change: object) => bytesOf({ readings: [{ tag: 't', number: 1, ...change }] });
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [bytesOf({ time: Number.NaN }), /^time: .*, got NaN$/],
    [bytesOf({ readings: [] }), /^readings: expected 1 to 1000 items, got 0$/],
    [bytesOf({ readings: new Array(1001).fill({ tag: 't', number: 1 }) }), /^readings: .*, got 1001$/],
    [bytesOf({ id: 'x'.repeat(65) }), /^id: expected /],
    [bytesOf({ received: -1 }), /^received: .*, got -1$/],
    [one({ tag: '' }), /^readings\[0\]\.tag: .*, got ""$/],
    [one({ number: Number.NEGATIVE_INFINITY }), /readings\[0\]\.value: expected .*, got -Infinity$/],
    [one({ number: null }), /readings\[0\]\.value: expected .*, got undefined$/],
    [one({ unit: 'x'.repeat(33) }), /readings\[0\]\.unit/],
    [one({ time: -1 }), /^readings\[0\]\.time: .*, got -1$/],
  ];
  for (const [bytes, message] of cases) {
    assert.match(errorOf(() => validatedReport(bytes), 'invalid_report').message, message);
  }
  errorOf(() => validatedReport(bytesOf({ device: 'a b' })), 'invalid_path');
  assert.ok(Number.isNaN(decodeReport(bytesOf({ time: Number.NaN })).time));
  // A later version may have more qualities; a sender may not.
  for (const decode of [decodeReport, validatedReport]) {
    assert.equal(decode(one({ quality: 4 })).readings[0]?.quality, 'uncertain');
  }
  const batch = v1.ReportBatch.encode({ reports: [v1.Report.decode(one({ quality: 4 }))] }).finish();
  assert.match(String(decodeReportBatch(batch, 1)[0]), /readings\[0\]\.quality: expected 0 to 3, got 4/);
  // A reading without a value is invalid, even in the log.
  errorOf(() => decodeReport(one({ number: null })), 'invalid_report');
});

test('proto3 rules apply: defaults, the last of a repeated field, unknown fields, invalid UTF-8', () => {
  const encoded = [...encodeReport(simple)];
  const read = (...more: number[]) => validatedReport(Uint8Array.from([...encoded, ...more]));
  assert.equal(read(0x0a, 1, 0x71).device, 'q');
  assert.deepEqual(read(0x40, 0x96, 1, 0x4a, 2, 9, 9, 0x55, 1, 2, 3, 4, 0x59, 1, 2, 3, 4, 5, 6, 7, 8), simple);
  // A known field of another wire type is an unknown field.
  assert.deepEqual(read(0x08, 1), simple);
  for (const more of [[0x22, 1, 0xff], [0x22, 2, 0x61], [0x03], [0x00], [0x80], [0x22, 0xff, 0xff, 0xff, 0xff, 0x0f]]) {
    assert.match(errorOf(() => read(...more), 'invalid_report').message, /^Protobuf: expected well-formed bytes, got /);
  }
});

test('invalid UTF-8 never matches an interned text', () => {
  // Texts are interned by a hash of their bytes. Among so many, some share a slot with their own Latin-1 bytes.
  for (let first = 0x80; first < 0x100; first++) {
    for (let second = 0x80; second < 0x100; second += 2) {
      const text = String.fromCharCode(first, second);
      assert.equal(parseReportHeader(encodeReport({ ...simple, device: text })).device, text);
      const latin1 = Uint8Array.of(0x0a, 2, first, second);
      let read: string | undefined;
      try {
        read = parseReportHeader(latin1).device;
      } catch {}
      assert.notEqual(read, text);
    }
  }
});

test('a batch has a result for each report, and an invalid report does not affect others', () => {
  const sent = { ...simple, time: 1634567890123 };
  const good = encodeReport(sent);
  const bad = encodeReport({ ...sent, device: 'a b' });
  const received = encodeReport(sent, 5);
  const field = (bytes: Uint8Array) => [0x0a, bytes.length, ...bytes];
  const batch = Uint8Array.from([...field(good), ...field(bad), ...field(received), 0x0a, 1, 0xff, ...field(good)]);
  const results = decodeReportBatch(batch, 5);
  assert.deepEqual(
    results.map((result) => (result instanceof TailraceError ? result.code : result)),
    [sent, 'invalid_path', 'invalid_report', 'invalid_report', sent],
  );
  assert.match(
    errorOf(() => decodeReportBatch(batch, 4), 'too_large').message,
    /^batch: expected at most 4 reports, got more/,
  );
  errorOf(() => decodeReportBatch(new Uint8Array(), 4), 'invalid_report');
  errorOf(() => decodeReportBatch(batch.subarray(0, -1), 5), 'invalid_report');
});

test("reports of a batch are validated as senders' reports: plausible times or none, and no fields that ingest sets", () => {
  const batchOf = (report: Report) => {
    const bytes = encodeReport(report);
    return Uint8Array.from([0x0a, bytes.length, ...bytes]);
  };
  const resultOf = (change: Partial<Report>) => decodeReportBatch(batchOf({ ...simple, time: 0, ...change }), 1)[0]!;
  assert.equal((resultOf({}) as Report).time, 0);
  const readings = [{ tag: 't', value: 1, time: 1634567890 }];
  for (const [change, message] of [
    [{ time: 1634567890 }, /^time: .*which would be 1970-01-19; probably in seconds$/],
    [{ time: 1634567890123456 }, /^time: .*which would be the year 5\d{4}; probably in microseconds$/],
    [{ time: 1.634567890123e18 }, /^time: .*probably in nanoseconds$/],
    [{ readings }, /^readings\[0\]\.time: .*probably in seconds$/],
    [{ clock: 'ahead' }, /^clock: expected a report without it/],
  ] as const) {
    const result = resultOf(change);
    assert.ok(result instanceof TailraceError);
    assert.match(result.message, message);
  }
});

test('a batch of IoTData is never taken for reports without its times, values or units', () => {
  const double = [...new Uint8Array(Float64Array.of(1).buffer)];
  const refused = (time: readonly number[], value: readonly number[], message: RegExp) => {
    const reading = [0x0a, 1, 0x74, ...value];
    const bytes = Uint8Array.from([0x0a, 3, ...Buffer.from('p.d'), ...time, 0x1a, reading.length, ...reading]);
    assert.match(String(decodeSentReport(bytes)), message);
  };
  refused([0x10, 5], [0x11, ...double], /time: expected a double, got wire type 0; a batch of IoTData has proto=/);
  refused([0x12, 2, 0x08, 5], [0x11, ...double], /time: .*, got wire type 2; /);
  refused([], [0x12, 1, 0x61], /readings\[0\]: .*, got wire type 2 in field 2; a batch of IoTData has proto=/);
  refused([], [0x11, ...double, 0x1a, 1, 0x43], /readings\[0\]: .*, got wire type 2 in field 3; /);
});

test('only a delta without changes may have no readings', () => {
  const empty = encodeReport({ ...simple, readings: [] });
  const changed = { ...simple, readings: [], partition: 3, seq: 7, delta: true };
  assert.deepEqual(decodeDelivery(deliveryBytes(empty, 3, 7, true)), changed);
  assert.deepEqual(deliveryFromJson(JSON.parse(deliveryJson(changed, 3, 7, true))), changed);
  assert.equal(v1.Delivery.decode(deliveryBytes(empty, 3, 7, true)).delta, true);
  assert.deepEqual(decodeDelivery(deliveryBytes(encodeReport(simple), 3, 7, true)), { ...changed, ...simple });
  errorOf(() => decodeDelivery(deliveryBytes(empty, 3, 7)), 'invalid_report');
  // A report to ingest has no `delta`.
  const sent = decodeSentReport(deliveryBytes(encodeReport({ ...simple, time: 0, readings: [] }), 3, 7, true));
  assert.match(String(sent), /readings: expected 1 to 1000 items, got 0/);
});

test('positions of 2^53 and more are rejected', () => {
  const varint = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
  const bytes = Uint8Array.from([...encodeReport(simple), 0x38, ...varint]);
  assert.match(errorOf(() => decodeDelivery(bytes), 'invalid_report').message, /2\^53/);
  assert.throws(() => v1.Delivery.decode(bytes), RangeError);
  const most = deliveryBytes(encodeReport(simple), 1, Number.MAX_SAFE_INTEGER);
  assert.equal(decodeDelivery(most).seq, Number.MAX_SAFE_INTEGER);
  errorOf(() => decodeDelivery(deliveryBytes(encodeReport(simple), 4096, 1)), 'invalid_report');
});

test('garbage and mutated bytes never crash, and valid ones can be encoded again', () => {
  const values = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    report.chain((value) => mutatedBytes(encodeReport(value))),
  );
  fc.assert(
    fc.property(values, (bytes) => {
      const read = resultOrError(() => validatedReport(bytes), 'invalid_report', 'invalid_path');
      if (read !== undefined) assert.deepEqual(decodeReport(encodeReport(read)), read);
      resultOrError(() => decodeReport(bytes), 'invalid_report');
      resultOrError(() => decodeDelivery(bytes), 'invalid_report', 'invalid_path');
      resultOrError(() => decodeReportBatch(bytes, 10), 'invalid_report', 'too_large');
      resultOrError(() => parseReportHeader(bytes).device, 'invalid_report');
    }),
    { ...seeded, numRuns: 2000 },
  );
});
