import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import type { OpcuaDataValue } from './opcua-port.ts';
import { dataTypes, qualityOf, sampleFrom, valueFrom, variantFrom } from './value.ts';

const good = { value: 0, name: 'Good' };
const time = new Date('2026-01-31T12:00:00.250Z');

const read = (dataType: number, value: unknown, arrayType = 0, as?: 'text') =>
  valueFrom({ dataType, arrayType, value }, { as }, { inexact: 0 });

test('every scalar type becomes a number, a boolean or a text', () => {
  const cases: readonly (readonly [number, unknown, unknown])[] = [
    [dataTypes.boolean, true, true],
    [dataTypes.sByte, -1, -1],
    [dataTypes.byte, 255, 255],
    [dataTypes.int16, -2, -2],
    [dataTypes.uint16, 65_535, 65_535],
    [dataTypes.int32, -3, -3],
    [dataTypes.uint32, 4_294_967_295, 4_294_967_295],
    [dataTypes.int64, [0xffff_ffff, 0xffff_fffe], -2],
    [dataTypes.uint64, [1, 2], 4_294_967_298],
    [dataTypes.float, 1.5, 1.5],
    [dataTypes.double, 2.5, 2.5],
    [dataTypes.string, 'a', 'a'],
    [dataTypes.dateTime, time, '2026-01-31T12:00:00.250Z'],
    [dataTypes.guid, '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000'],
    [dataTypes.byteString, Buffer.from([1, 2, 3]), 'AQID'],
    [dataTypes.xmlElement, '<a/>', '<a/>'],
    [dataTypes.statusCode, { name: 'BadTimeout' }, 'BadTimeout'],
    [dataTypes.qualifiedName, { name: 'Name', namespaceIndex: 1 }, 'Name'],
    [dataTypes.localizedText, { text: 'Text', locale: 'en' }, 'Text'],
  ];
  for (const [type, raw, expected] of cases) assert.deepEqual(read(type, raw), { value: expected }, `type ${type}`);
});

test('what cannot be a reading has a reason', () => {
  assert.deepEqual(read(dataTypes.double, Number.NaN), { value: undefined, reason: 'not_finite' });
  assert.deepEqual(read(dataTypes.float, Number.POSITIVE_INFINITY), { value: undefined, reason: 'not_finite' });
  assert.deepEqual(read(22, {}), { value: undefined, reason: 'unsupported_type' });
  assert.deepEqual(read(dataTypes.string, null), { value: undefined, reason: 'no_value' });
  assert.deepEqual(valueFrom(null, {}, { inexact: 0 }), { value: undefined, reason: 'no_value' });
});

test('a 64-bit integer beyond 2^53 is the nearest number, which is counted, or its digits', () => {
  const counts = { inexact: 0 };
  const variant = { dataType: dataTypes.uint64, arrayType: 0, value: [0xffff_ffff, 0xffff_ffff] };
  assert.equal(valueFrom(variant, {}, counts).value, 2 ** 64);
  assert.equal(counts.inexact, 1);
  assert.equal(valueFrom(variant, { as: 'text' }, counts).value, '18446744073709551615');
  const most = { ...variant, value: [0x001f_ffff, 0xffff_ffff] };
  assert.equal(valueFrom(most, {}, counts).value, Number.MAX_SAFE_INTEGER);
  assert.equal(counts.inexact, 1);
});

test('an array is a text of JSON up to a length, or one element', () => {
  assert.deepEqual(read(dataTypes.int32, new Int32Array([1, 2]), 1), { value: '[1,2]' });
  assert.deepEqual(read(dataTypes.double, [1, Number.NaN], 1), { value: '[1,null]' });
  assert.deepEqual(read(dataTypes.int32, new Int32Array(3_000), 1), { value: undefined, reason: 'array_too_long' });
  assert.deepEqual(read(22, [{}], 1), { value: undefined, reason: 'unsupported_type' });
  const element = { dataType: dataTypes.int32, arrayType: 1, value: new Int32Array([7]) };
  assert.deepEqual(valueFrom(element, { index: 3 }, { inexact: 0 }), { value: 7 });
  const none = { ...element, value: [] };
  assert.deepEqual(valueFrom(none, { index: 3 }, { inexact: 0 }), { value: undefined, reason: 'no_such_element' });
});

test('a long text is truncated, and a text has no control characters', () => {
  const { value, reason } = read(dataTypes.string, 'x'.repeat(5_000));
  assert.deepEqual([String(value).length, reason], [4_096, 'text_truncated']);
  assert.equal(read(dataTypes.string, 'a\u0000b\nc').value, 'a b c');
  assert.equal(read(dataTypes.string, `${'x'.repeat(4_095)}😀`).value, `${'x'.repeat(4_095)}\uFFFD`);
});

test('the quality is that of the severity of the status', () => {
  assert.deepEqual([0, 0x002e0000, 0x40000000, 0x80000000, 0x80340000].map(qualityOf), [
    'good',
    'good',
    'uncertain',
    'bad',
    'bad',
  ]);
});

const data = (changes: Partial<OpcuaDataValue> = {}): OpcuaDataValue => ({
  value: { dataType: dataTypes.double, arrayType: 0, value: 1 },
  statusCode: good,
  sourceTimestamp: time,
  sourcePicoseconds: 0,
  ...changes,
});

const sample = (changes: Partial<OpcuaDataValue>, counts = { inexact: 0, overflows: 0 }) =>
  sampleFrom(3, {}, data(changes), 5, counts);

test('the time is that of the source with its fraction, of the server, or of the gateway', () => {
  const ms = time.getTime();
  assert.equal(sample({ sourcePicoseconds: 500_000_000 }).time, ms + 0.5);
  const server = { sourceTimestamp: new Date(0), serverTimestamp: new Date(ms + 1) };
  assert.equal(sample(server).time, ms + 1);
  const none = sample({ sourceTimestamp: null });
  assert.deepEqual([none.time, none.quality, none.reason], [5, 'uncertain', 'no_source_time']);
});

test('an overflow of the queue is uncertain, and counted', () => {
  const counts = { inexact: 0, overflows: 0 };
  const overflow = sample({ statusCode: { value: 0x480, name: 'Good' } }, counts);
  assert.deepEqual([overflow.value, overflow.quality, overflow.reason], [1, 'uncertain', 'queue_overflow']);
  assert.equal(counts.overflows, 1);
});

test('a bad value has no value, and the status as its reason', () => {
  assert.deepEqual(sample({ statusCode: { value: 0x80340000, name: 'BadNodeIdUnknown' } }), {
    tag: 3,
    time: time.getTime(),
    value: undefined,
    quality: 'bad',
    reason: 'BadNodeIdUnknown',
  });
});

test('a value is written in the type of the node', () => {
  assert.deepEqual(variantFrom(-2, dataTypes.int64).value, [0xffff_ffff, 0xffff_fffe]);
  assert.deepEqual(variantFrom('18446744073709551615', dataTypes.uint64).value, [0xffff_ffff, 0xffff_ffff]);
  assert.equal(variantFrom(true, dataTypes.boolean).value, true);
  assert.deepEqual(variantFrom('2026-01-31T12:00:00.250Z', dataTypes.dateTime).value, time);
  const invalid: readonly (readonly [number | string | boolean, number])[] = [
    [256, dataTypes.byte],
    [-1, dataTypes.uint32],
    [1.5, dataTypes.int16],
    ['1', dataTypes.int32],
    [1, dataTypes.boolean],
    [1e300, dataTypes.float],
    [1, dataTypes.string],
    ['soon', dataTypes.dateTime],
    [1, 22],
  ];
  for (const [value, type] of invalid) {
    assert.throws(() => variantFrom(value, type), { code: 'invalid_message' }, `${value} as ${type}`);
  }
});

test('any value of a server is one sample: finite, bounded, and with a reason unless it is good', () => {
  const anyValue = fc.oneof(
    fc.anything(),
    fc.array(fc.anything()),
    fc.tuple(fc.integer(), fc.integer()),
    fc.date({ noInvalidDate: false }),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 30 }),
      fc.integer({ min: 0, max: 2 }),
      anyValue,
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.option(fc.date({ noInvalidDate: false })),
      (dataType, arrayType, value, status, timestamp) => {
        const statusCode = { value: status, name: 'Status' };
        const from = { value: { dataType, arrayType, value }, statusCode, sourceTimestamp: timestamp };
        const result = sampleFrom(0, {}, from, 5, { inexact: 0, overflows: 0 });
        assert.ok(Number.isFinite(result.time));
        if (typeof result.value === 'number') assert.ok(Number.isFinite(result.value));
        if (typeof result.value === 'string') assert.ok(result.value.length <= 4_096);
        assert.equal(result.quality === 'good', result.reason === undefined);
        assert.equal(result.quality === 'bad', result.value === undefined);
      },
    ),
    fuzzed(2_000),
  );
});
