import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyJson, mutated, seeded, sentReport } from '../test/arbitraries.ts';
import { errorOf, resultOrError } from '../test/errors.ts';
import { validatedReport } from '../test/validated-report.ts';
import { reportFromJson, reportLimits } from './report.ts';
import { encodeReport } from './report-proto.ts';

const device = 'plant1.line3.press7';
const reading = { tag: 'temperature', value: 42.5 };

function reportWith(change: object): unknown {
  return { device, time: 1634567890123.25, readings: [reading], ...change };
}

function readingWith(change: object): unknown {
  return reportWith({ readings: [reading, { ...reading, ...change }] });
}

test("the protocol's example is valid", () => {
  const example = {
    device,
    time: 1634567890123.25,
    readings: [
      { tag: 'temperature', value: 42.5, unit: 'Cel', quality: 'good' },
      { tag: 'running', value: true },
    ],
    id: 'a1b2c3d4',
  };
  assert.deepEqual(reportFromJson(structuredClone(example)), example);
});

test('a report in normal form is returned without a copy', () => {
  fc.assert(
    fc.property(sentReport, (sent) => {
      assert.equal(reportFromJson(sent), sent);
    }),
    seeded,
  );
});

test('a null or empty unit or id counts as absent', () => {
  const sent = reportWith({ id: '', readings: [{ ...reading, unit: '', quality: null, time: null }] });
  assert.deepEqual(reportFromJson(sent), { device, time: 1634567890123.25, readings: [reading] });
  assert.deepEqual(reportFromJson(reportWith({ id: null, readings: [{ ...reading, unit: null }] })), reportWith({}));
});

test('a null key counts as absent in either form of a report', () => {
  const nulls = { clock: null, received: null, deviceId: null, timestamp: null, values: null, quality: null };
  assert.deepEqual(reportFromJson(reportWith({ id: 'i', ...nulls })), reportWith({ id: 'i' }));
  const older = { deviceId: device, timestamp: 1634567890123, values: [reading], id: 'i' };
  const current = { device: null, time: null, readings: null, clock: null, received: null };
  assert.deepEqual(reportFromJson({ ...older, ...current }), reportFromJson(older));
  assert.throws(() => reportFromJson(reportWith({ color: null })), { code: 'invalid_report' });
  assert.throws(() => reportFromJson(reportWith({ clock: 'ahead' })), { code: 'invalid_report' });
});

test('a report may be historical; false and null count as absent', () => {
  const sent = reportWith({ historical: true });
  assert.equal(reportFromJson(sent), sent);
  assert.deepEqual(reportFromJson(reportWith({ historical: true, id: '' })), reportWith({ historical: true }));
  for (const none of [false, null])
    assert.deepEqual(reportFromJson(reportWith({ historical: none, id: 'i' })), reportWith({ id: 'i' }));
  assert.match(
    errorOf(() => reportFromJson(reportWith({ historical: 1 })), 'invalid_report').message,
    /^historical: expected true or false, got 1$/,
  );
});

test('a time of 0 or null counts as absent', () => {
  const { time: _, ...timeless } = reportWith({ id: 'i' }) as { time: number; id: string };
  for (const none of [0, null]) {
    assert.deepEqual(reportFromJson(structuredClone({ ...timeless, time: none })), { ...timeless, time: 0 });
    assert.deepEqual(reportFromJson(readingWith({ time: none })), readingWith({}));
  }
  assert.deepEqual(reportFromJson(structuredClone(timeless)), { ...timeless, time: 0 });
});

test('every error of a report has what was expected and the value', () => {
  const x = (count: number) => 'x'.repeat(count);
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [null, /^report: expected an object with device and readings, got null$/],
    [[], /^report: .*, got \[\]$/],
    ['x', /^report: .*, got "x"$/],
    [reportWith({ time: '2024-01-01' }), /time: expected milliseconds since 1970, got "2024-01-01"/],
    [reportWith({ time: -1 }), /time: expected milliseconds since 1970, got -1$/],
    [reportWith({ time: Number.NaN }), /time: expected milliseconds since 1970, got NaN$/],
    [reportWith({ clock: 'ingest' }), /clock: expected a report without it, since ingest sets it/],
    [reportWith({ readings: undefined }), /^readings: expected an array of 1 to 1000 items, got undefined$/],
    [reportWith({ readings: [] }), /^readings: expected 1 to 1000 items, got 0$/],
    [reportWith({ readings: new Array(1001).fill(reading) }), /^readings: .*, got 1001$/],
    [reportWith({ readings: [7] }), /^readings\[0\]: expected an object with tag and value, got 7$/],
    [reportWith({ id: 7 }), /^id: expected a text of at most 64 bytes .*, got 7$/],
    [reportWith({ id: 'é'.repeat(33) }), /^id: .*, got "éé/],
    [reportWith({ id: 'a\n' }), /^id: .*, got "a\\n"$/],
    [
      reportWith({ foo: 1 }),
      /^report: expected device, readings and optionally time, id and historical, got the unknown key "foo"$/,
    ],
    [reportWith({ received: 1 }), /^received: expected a report without it, since ingest sets it$/],
    [
      JSON.parse(`{"device":"a","time":1634567890123,"readings":[{"tag":"t","value":1}],"__proto__":{"x":1}}`),
      /unknown key "__proto__"/,
    ],
    [readingWith({ foo: 1 }), /^readings\[1\]: expected tag, value and optionally .*, got the unknown key "foo"$/],
    [readingWith({ tag: '' }), /^readings\[1\]\.tag: expected a text of 1 to 128 .*, got ""$/],
    [readingWith({ tag: x(129) }), /^readings\[1\]\.tag: .*, got "xxx/],
    [readingWith({ tag: 'a\u0000b' }), /^readings\[1\]\.tag: .*, got "a\\u0000b"$/],
    [readingWith({ tag: 'a\u0085b' }), /^readings\[1\]\.tag/],
    [readingWith({ tag: '\ud800' }), /^readings\[1\]\.tag: .*, got "\\ud800"$/],
    [
      readingWith({ value: null }),
      /readings\[1\]\.value: expected a finite number, boolean or text, got null; NaN and Infinity are written as null/,
    ],
    [readingWith({ value: Number.POSITIVE_INFINITY }), /readings\[1\]\.value: expected .*, got Infinity$/],
    [readingWith({ value: Number.NaN }), /readings\[1\]\.value: expected .*, got NaN$/],
    [readingWith({ value: { a: 1 } }), /readings\[1\]\.value: expected .*, got {"a":1}/],
    [readingWith({ value: x(4097) }), /readings\[1\]\.value: expected .*, got "xxx/],
    [readingWith({ value: 'a\0' }), /readings\[1\]\.value: expected .*, got "a\\u0000"/],
    [readingWith({ value: '\udc00' }), /readings\[1\]\.value: expected .*, got "\\udc00"/],
    [readingWith({ unit: 7 }), /^readings\[1\]\.unit: expected a UCUM unit .*, got 7$/],
    [readingWith({ unit: x(33) }), /^readings\[1\]\.unit: .*, got "xxx/],
    [readingWith({ quality: 'GOOD' }), /^readings\[1\]\.quality: expected "good", "uncertain" or "bad", got "GOOD"$/],
    [readingWith({ time: -5 }), /readings\[1\]\.time: expected milliseconds since 1970, got -5/],
    [readingWith({ time: 1634567890 }), /readings\[1\]\.time: .*probably in seconds/],
  ];
  for (const [value, message] of cases) {
    assert.match(errorOf(() => reportFromJson(value), 'invalid_report').message, message);
  }
  assert.match(
    errorOf(() => reportFromJson(reportWith({ device: 'a b' })), 'invalid_path').message,
    /^device path: .*, got "a b": it contains " "$/,
  );
});

test('a report at every limit is valid, also through Protobuf', () => {
  const { readingsMax, tagCharactersMax, textCharactersMax, unitCharactersMax, idBytesMax } = reportLimits;
  const timeMsMax = 99_999_999_999_999;
  const widest = {
    tag: 't'.repeat(tagCharactersMax),
    value: 'ä'.repeat(textCharactersMax),
    unit: 'u'.repeat(unitCharactersMax),
  };
  const many = Array.from({ length: readingsMax }, (_, index) => ({
    tag: `${index}`.padEnd(tagCharactersMax, 't'),
    value: index,
    time: timeMsMax,
  }));
  for (const readings of [[widest], many]) {
    const checked = reportFromJson({ device, time: timeMsMax, readings, id: 'i'.repeat(idBytesMax) });
    assert.deepEqual(validatedReport(encodeReport(checked)), checked);
  }
});

test('the envelope of older gateways becomes the same report', () => {
  const older = {
    deviceId: device,
    timestamp: 1634567890123,
    values: [
      { tag: 'a', value: 1, unit: 'bar' },
      { tag: 'b', value: false },
    ],
  };
  const readings = [
    { tag: 'a', value: 1, unit: 'bar' },
    { tag: 'b', value: false },
  ];
  assert.deepEqual(reportFromJson(older), { device, time: 1634567890123, readings });
  assert.deepEqual(reportFromJson({ ...older, quality: 'good', id: 'i' }), {
    device,
    time: 1634567890123,
    readings,
    id: 'i',
  });
  const bad = readings.map((each) => ({ ...each, quality: 'bad' }));
  assert.deepEqual(reportFromJson({ ...older, quality: 'bad' }), { device, time: 1634567890123, readings: bad });
});

test('errors of an older envelope have its own field names', () => {
  const older = { deviceId: device, timestamp: 1634567890123, values: [reading] };
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ ...older, timestamp: 'now' }, /timestamp: expected milliseconds since 1970, got "now"/],
    [{ ...older, values: 3 }, /^values: expected an array of 1 to 1000 items, got 3$/],
    [{ ...older, values: [reading, { tag: '' }], quality: 'bad' }, /^values\[1\]\.tag: .*, got ""$/],
    [{ ...older, quality: 'fine' }, /^quality: expected "good", "uncertain" or "bad", got "fine"$/],
    [
      { ...older, time: 1634567890123 },
      /^report: expected deviceId, values and optionally timestamp, quality and id, got the unknown key "time"$/,
    ],
    [JSON.parse('{"values":[],"__proto__":1}'), /unknown key "__proto__"/],
  ];
  for (const [value, message] of cases) {
    assert.match(errorOf(() => reportFromJson(value), 'invalid_report').message, message);
  }
  errorOf(() => reportFromJson({ ...older, deviceId: '' }), 'invalid_path');
});

test('garbage and mutated reports never crash, and valid ones can be encoded and decoded', () => {
  const older = fc.constant({ deviceId: device, timestamp: 1634567890123, values: [reading], quality: 'bad' });
  const values = fc.oneof(
    anyJson,
    fc.oneof(sentReport, older).chain((sent) => mutated(sent)),
    anyJson.map((value) => reportWith({ readings: [value] })),
  );
  fc.assert(
    fc.property(values, (value) => {
      const checked = resultOrError(() => reportFromJson(value), 'invalid_report', 'invalid_path');
      if (checked !== undefined) validatedReport(encodeReport(checked));
    }),
    { ...seeded, numRuns: 1500 },
  );
});

test('deeply nested JSON is an error, not a crash', () => {
  const deep: unknown = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
  for (const value of [
    deep,
    reportWith({ readings: deep }),
    readingWith({ value: deep }),
    reportWith({ device: deep }),
  ]) {
    errorOf(() => reportFromJson(value), 'invalid_report', 'invalid_path');
  }
});
