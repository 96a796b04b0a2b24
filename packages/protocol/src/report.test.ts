import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyJson, mutated, seeded, sentReport } from '../test/arbitraries.ts';
import { faultOf, resultOrFault } from '../test/faults.ts';
import { reportFromJson, reportLimits } from './report.ts';
import { decodeReport, encodeReport } from './report-proto.ts';

const device = 'plant1.line3.press7';
const reading = { tag: 'temperature', value: 42.5 };

function reportWith(change: object): unknown {
  return { device, time: 1634567890123.25, readings: [reading], ...change };
}

function readingWith(change: object): unknown {
  return reportWith({ readings: [reading, { ...reading, ...change }] });
}

test("takes the protocol's example as it is", () => {
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

test('takes every report in its normal form unchanged, without copying', () => {
  fc.assert(
    fc.property(sentReport, (sent) => {
      assert.equal(reportFromJson(sent), sent);
    }),
    seeded,
  );
});

test('a null and an empty unit or id are none', () => {
  const sent = reportWith({ id: '', readings: [{ ...reading, unit: '', quality: null, time: null }] });
  assert.deepEqual(reportFromJson(sent), { device, time: 1634567890123.25, readings: [reading] });
  assert.deepEqual(reportFromJson(reportWith({ id: null, readings: [{ ...reading, unit: null }] })), reportWith({}));
});

test('a key that is null counts as left out, whichever form of a report has it', () => {
  const nulls = { clock: null, received: null, deviceId: null, timestamp: null, values: null, quality: null };
  assert.deepEqual(reportFromJson(reportWith({ id: 'i', ...nulls })), reportWith({ id: 'i' }));
  const older = { deviceId: device, timestamp: 1634567890123, values: [reading], id: 'i' };
  const current = { device: null, time: null, readings: null, clock: null, received: null };
  assert.deepEqual(reportFromJson({ ...older, ...current }), reportFromJson(older));
  assert.throws(() => reportFromJson(reportWith({ color: null })), { code: 'invalid_report' });
  assert.throws(() => reportFromJson(reportWith({ clock: 'ahead' })), { code: 'invalid_report' });
});

test('a time of 0, null, or none at all is left to ingest', () => {
  const { time: _, ...timeless } = reportWith({ id: 'i' }) as { time: number; id: string };
  for (const none of [0, null]) {
    assert.deepEqual(reportFromJson(structuredClone({ ...timeless, time: none })), { ...timeless, time: 0 });
    assert.deepEqual(reportFromJson(readingWith({ time: none })), readingWith({}));
  }
  assert.deepEqual(reportFromJson(structuredClone(timeless)), { ...timeless, time: 0 });
});

test('every fault of a report is said with the value and what would be right', () => {
  const x = (count: number) => 'x'.repeat(count);
  const faults: readonly (readonly [unknown, RegExp])[] = [
    [null, /the report is null; right is an object/],
    [[], /the report is \[\]/],
    ['x', /the report is "x"/],
    [reportWith({ time: '2024-01-01' }), /time: expected milliseconds since 1970, got "2024-01-01"/],
    [reportWith({ time: -1 }), /time: expected milliseconds since 1970, got -1$/],
    [reportWith({ time: Number.NaN }), /time: expected milliseconds since 1970, got NaN$/],
    [reportWith({ clock: 'ingest' }), /clock: expected a report without it, since ingest sets it/],
    [reportWith({ readings: undefined }), /readings is undefined; right is an array of 1 to 1000/],
    [reportWith({ readings: [] }), /readings has 0 readings/],
    [reportWith({ readings: new Array(1001).fill(reading) }), /readings has 1001 readings/],
    [reportWith({ readings: [7] }), /readings\[0\] is 7; right is an object/],
    [reportWith({ id: 7 }), /id is 7; right is a text of at most 64 bytes/],
    [reportWith({ id: 'é'.repeat(33) }), /id is "éé/],
    [reportWith({ id: 'a\n' }), /id is "a\\n"/],
    [reportWith({ foo: 1 }), /unknown key "foo"; a report has device, readings and, if it likes, time and id/],
    [reportWith({ received: 1 }), /received is set by ingest/],
    [
      JSON.parse(`{"device":"a","time":1634567890123,"readings":[{"tag":"t","value":1}],"__proto__":{"x":1}}`),
      /unknown key "__proto__"/,
    ],
    [readingWith({ foo: 1 }), /readings\[1\] has the unknown key "foo"; a reading has tag, value/],
    [readingWith({ tag: '' }), /readings\[1\]\.tag is ""; right is a text of 1 to 128/],
    [readingWith({ tag: x(129) }), /readings\[1\]\.tag is "xxx/],
    [readingWith({ tag: 'a\u0000b' }), /readings\[1\]\.tag is "a\\u0000b"/],
    [readingWith({ tag: 'a\u0085b' }), /readings\[1\]\.tag/],
    [readingWith({ tag: '\ud800' }), /readings\[1\]\.tag is "\\ud800"/],
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
    [readingWith({ unit: 7 }), /readings\[1\]\.unit is 7; right is a UCUM unit/],
    [readingWith({ unit: x(33) }), /readings\[1\]\.unit is "xxx/],
    [readingWith({ quality: 'GOOD' }), /readings\[1\]\.quality is "GOOD"; right is "good", "uncertain" or "bad"/],
    [readingWith({ time: -5 }), /readings\[1\]\.time: expected milliseconds since 1970, got -5/],
    [readingWith({ time: 1634567890 }), /readings\[1\]\.time: .*it looks like seconds/],
  ];
  for (const [value, message] of faults) {
    assert.match(faultOf(() => reportFromJson(value), 'invalid_report').message, message);
  }
  assert.match(
    faultOf(() => reportFromJson(reportWith({ device: 'a b' })), 'invalid_path').message,
    /"a b" is not a device path/,
  );
});

test('everything at its limit passes, also through Protobuf', () => {
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
    assert.deepEqual(decodeReport(encodeReport(checked)), checked);
  }
});

test('the envelope of older gateways means the same report', () => {
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

test('faults of an older envelope are said in its own words', () => {
  const older = { deviceId: device, timestamp: 1634567890123, values: [reading] };
  const faults: readonly (readonly [object, RegExp])[] = [
    [{ ...older, timestamp: 'now' }, /timestamp: expected milliseconds since 1970, got "now"/],
    [{ ...older, values: 3 }, /values is 3; right is an array/],
    [{ ...older, values: [reading, { tag: '' }], quality: 'bad' }, /values\[1\]\.tag is ""/],
    [{ ...older, quality: 'fine' }, /quality is "fine"; right is "good", "uncertain" or "bad"/],
    [
      { ...older, time: 1634567890123 },
      /unknown key "time"; an older report has deviceId, values and, if it likes, timestamp/,
    ],
    [JSON.parse('{"values":[],"__proto__":1}'), /unknown key "__proto__"/],
  ];
  for (const [value, message] of faults) {
    assert.match(faultOf(() => reportFromJson(value), 'invalid_report').message, message);
  }
  faultOf(() => reportFromJson({ ...older, deviceId: '' }), 'invalid_path');
});

test('garbage and mutated reports never crash, and what passes can be encoded and read back', () => {
  const older = fc.constant({ deviceId: device, timestamp: 1634567890123, values: [reading], quality: 'bad' });
  const values = fc.oneof(
    anyJson,
    fc.oneof(sentReport, older).chain((sent) => mutated(sent)),
    anyJson.map((value) => reportWith({ readings: [value] })),
  );
  fc.assert(
    fc.property(values, (value) => {
      const checked = resultOrFault(() => reportFromJson(value), 'invalid_report', 'invalid_path');
      if (checked !== undefined) decodeReport(encodeReport(checked));
    }),
    { ...seeded, numRuns: 1500 },
  );
});

test('JSON of any depth is a fault like any other', () => {
  const deep: unknown = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
  for (const value of [
    deep,
    reportWith({ readings: deep }),
    readingWith({ value: deep }),
    reportWith({ device: deep }),
  ]) {
    faultOf(() => reportFromJson(value), 'invalid_report', 'invalid_path');
  }
});
