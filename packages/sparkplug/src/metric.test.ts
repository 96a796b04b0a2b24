import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { dataTypeName, dataTypes } from './data-type.ts';
import { isReadable, type MetricValue, metricValue, UnreadableMetric } from './metric.ts';
import { metricFields } from './metric-fields.ts';
import { decodePayload, encodePayload, type Metric } from './payload.ts';
import { shortestFloat } from './shortest-float.ts';

const seeded = fuzzed();

/** Reads a metric as it comes from the wire. */
function read(dataType: number, metric: Metric): MetricValue | UnreadableMetric {
  return metricValue(decodePayload(encodePayload({ metrics: [metric] })).metrics[0]!, dataType);
}

function reasonOf(dataType: number, metric: Metric): string {
  const value = read(dataType, metric);
  assert.ok(value instanceof UnreadableMetric, `${dataTypeName(dataType)} is ${String(value)}`);
  return value.reason;
}

test('[tck-id-payloads-metric-datatype-value] data types have the numbers of the specification', () => {
  assert.deepEqual(
    [0, 1, 4, 7, 9, 13, 15, 16, 19, 22, 31, 34].map(dataTypeName),
    ['Unknown', 'Int8', 'Int64', 'UInt32', 'Float', 'DateTime', 'UUID', 'DataSet', 'Template', 'Int8Array'].concat(
      'DoubleArray',
      'DateTimeArray',
    ),
  );
  assert.equal(dataTypeName(35), 'data type 35');
});

test('signed integers are read in two’s complement, with the sign extended or not', () => {
  const { int8, int16, int32, int64 } = dataTypes;
  for (const [dataType, metric, expected] of [
    [int8, { intValue: 251 }, -5],
    [int8, { intValue: 0xfffffffb }, -5],
    [int8, { longValue: 2n ** 64n - 5n }, -5],
    [int8, { intValue: 127 }, 127],
    [int8, { intValue: 128 }, -128],
    [int16, { intValue: 0xffff }, -1],
    [int16, { intValue: 0xffff8000 }, -32_768],
    [int16, { longValue: 30_000 }, 30_000],
    [int32, { intValue: 0xffffffff }, -1],
    [int32, { intValue: 0x80000000 }, -(2 ** 31)],
    [int32, { longValue: 2n ** 64n - 2n ** 31n }, -(2 ** 31)],
    [int32, { longValue: 0xfffffffe }, -2],
    [int64, { longValue: 2n ** 64n - 1n }, -1],
    [int64, { longValue: 2n ** 64n - 2n ** 53n + 1n }, Number.MIN_SAFE_INTEGER],
    [int64, { longValue: Number.MAX_SAFE_INTEGER }, Number.MAX_SAFE_INTEGER],
    [int64, { intValue: 0xffffffff }, 0xffffffff],
  ] as const) {
    assert.equal(read(dataType, metric), expected, `${dataTypeName(dataType)} ${String(Object.values(metric))}`);
  }
});

test('unsigned integers are read from both integer fields', () => {
  assert.equal(read(dataTypes.uint8, { intValue: 255 }), 255);
  assert.equal(read(dataTypes.uint32, { intValue: 0xffffffff }), 0xffffffff);
  assert.equal(read(dataTypes.uint32, { longValue: 0xffffffff }), 0xffffffff);
  assert.equal(read(dataTypes.uint64, { longValue: 2 ** 53 - 1 }), 2 ** 53 - 1);
});

test('an integer that its data type or a number cannot hold is inexact', () => {
  const { int8, int16, int32, int64, uint8, uint16, uint32, uint64, dateTime } = dataTypes;
  for (const [dataType, metric] of [
    [int8, { intValue: 256 }],
    [int8, { intValue: 0xffffff00 }],
    [int16, { intValue: 0x10000 }],
    [int32, { longValue: 2 ** 32 }],
    [int32, { longValue: 2n ** 63n }],
    [int64, { longValue: 2n ** 53n }],
    [int64, { longValue: 2n ** 63n }],
    [uint8, { intValue: 256 }],
    [uint16, { longValue: 2n ** 64n - 1n }],
    [uint32, { longValue: 2 ** 32 }],
    [uint64, { longValue: 2n ** 53n }],
    [dateTime, { longValue: 2n ** 53n }],
  ] as const) {
    assert.equal(reasonOf(dataType, metric), 'inexact', `${dataTypeName(dataType)} ${String(Object.values(metric))}`);
  }
});

test('a 32-bit float becomes the shortest decimal that identifies it', () => {
  assert.equal(read(dataTypes.float, { floatValue: 21.3 }), 21.3);
  assert.equal(read(dataTypes.float, { floatValue: 1e-7 }), 1e-7);
  assert.equal(read(dataTypes.double, { doubleValue: 21.299999237060547 }), 21.299999237060547);
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      assert.equal(Math.fround(shortestFloat(value)), value);
    }),
    seeded,
  );
});

test('NaN, infinities and null have no value', () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    assert.equal(read(dataTypes.float, { floatValue: value }), undefined);
    assert.equal(read(dataTypes.double, { doubleValue: value }), undefined);
  }
  for (let dataType = 0; dataType <= 35; dataType++)
    if (isReadable(dataType)) assert.equal(read(dataType, { isNull: true }), undefined, dataTypeName(dataType));
});

test('booleans, texts and times', () => {
  assert.equal(read(dataTypes.boolean, { booleanValue: false }), false);
  for (const dataType of [dataTypes.string, dataTypes.text, dataTypes.uuid])
    assert.equal(read(dataType, { stringValue: 'größer\n' }), 'größer\n');
  assert.equal(read(dataTypes.string, { stringValue: '' }), '');
  assert.equal(read(dataTypes.dateTime, { longValue: 1_656_107_875_000 }), 1_656_107_875_000);
});

test('a text over the limit of a report, or with NUL, is no reading', () => {
  assert.equal(read(dataTypes.string, { stringValue: 'x'.repeat(4_096) }), 'x'.repeat(4_096));
  assert.equal(reasonOf(dataTypes.string, { stringValue: 'x'.repeat(4_097) }), 'too_large');
  assert.equal(reasonOf(dataTypes.string, { stringValue: 'a\0b' }), 'invalid_report');
  assert.equal(reasonOf(dataTypes.int8Array, { bytesValue: new Uint8Array(2_049) }), 'too_large');
});

test('a value field of another kind than the data type is no reading', () => {
  assert.equal(reasonOf(dataTypes.double, { stringValue: '1.5' }), 'invalid_report');
  assert.equal(reasonOf(dataTypes.boolean, { intValue: 1 }), 'invalid_report');
  assert.equal(reasonOf(dataTypes.string, { booleanValue: true }), 'invalid_report');
  assert.equal(reasonOf(dataTypes.int32, { doubleValue: 1 }), 'invalid_report');
});

test('data sets, templates, bytes and files are unsupported, by name', () => {
  for (const [dataType, metric, name] of [
    [dataTypes.dataSet, { datasetValue: new Uint8Array() }, 'DataSet'],
    [dataTypes.template, { templateValue: new Uint8Array() }, 'Template'],
    [dataTypes.bytes, { bytesValue: new Uint8Array(4) }, 'Bytes'],
    [dataTypes.file, { bytesValue: new Uint8Array(4) }, 'File'],
    [dataTypes.propertySet, {}, 'PropertySet'],
    [35, { intValue: 1 }, 'data type 35'],
    [0xffffffff, { intValue: 1 }, 'data type 4294967295'],
  ] as const) {
    const value = read(dataType, metric);
    assert.ok(value instanceof UnreadableMetric);
    assert.equal(value.reason, 'unsupported_type');
    assert.match(value.message, new RegExp(`got ${name}$`));
  }
});

// The specification states little-endian, and prints its examples of floats and doubles big-endian.
test('arrays become JSON: the examples of the specification', () => {
  const types = dataTypes;
  for (const [dataType, hex, expected] of [
    [types.int8Array, 'e97b', '[-23,123]'],
    [types.int16Array, 'd08a3075', '[-30000,30000]'],
    [types.int32Array, 'fffffffffaafcb12', '[-1,315338746]'],
    [types.int64Array, 'ce0672ac189cbac4c4ba9c18ac7206ce', '[-4270929666821191986,-3601064768563266876]'],
    [types.uint8Array, '17fa', '[23,250]'],
    [types.uint16Array, '1e0088cc', '[30,52360]'],
    [types.uint32Array, '3400000049fb55c4', '[52,3293969225]'],
    [types.uint64Array, '3400000000000000d99e02d1b27637e4', '[52,16444743074749521625]'],
    [types.floatArray, 'a4709d3f98aeb242', '[1.23,89.341]'],
    [types.doubleArray, 'd7a205685bb528408e171c6f4cf78f40', '[12.354213,1022.9123213]'],
    [types.booleanArray, '0c00000034d0', '[false,false,true,true,false,true,false,false,true,true,false,true]'],
    [types.stringArray, '4142430068656c6c6f00', '["ABC","hello"]'],
    [types.stringArray, '41424300', '["ABC"]'],
    [types.stringArray, '4142430068', '["ABC","h"]'],
    [types.dateTimeArray, 'c7d0907524010000b8bab89781010000', '[1256102875335,1656107875000]'],
    [types.doubleArray, '000000000000f87f', '[null]'],
    [types.int32Array, '', '[]'],
    [types.stringArray, '', '[]'],
    [types.booleanArray, '00000000', '[]'],
  ] as const) {
    assert.equal(read(dataType, { bytesValue: Buffer.from(hex, 'hex') }), expected, dataTypeName(dataType));
  }
});

test('an array that is no whole elements is no reading', () => {
  for (const [dataType, hex] of [
    [dataTypes.int16Array, '01'],
    [dataTypes.doubleArray, '0102030405060708090a'],
    [dataTypes.booleanArray, '0c0000'],
    [dataTypes.booleanArray, '0900000034'],
    [dataTypes.booleanArray, 'ffffffff34'],
    [dataTypes.stringArray, 'ff00'],
  ] as const) {
    assert.equal(reasonOf(dataType, { bytesValue: Buffer.from(hex, 'hex') }), 'invalid_report', hex);
  }
});

const typesByValue: readonly (readonly [number, fc.Arbitrary<number | boolean | string>])[] = [
  [dataTypes.int8, fc.integer({ min: -128, max: 127 })],
  [dataTypes.int16, fc.integer({ min: -(2 ** 15), max: 2 ** 15 - 1 })],
  [dataTypes.int32, fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })],
  [dataTypes.int64, fc.maxSafeInteger()],
  [dataTypes.uint8, fc.integer({ min: 0, max: 255 })],
  [dataTypes.uint16, fc.integer({ min: 0, max: 2 ** 16 - 1 })],
  [dataTypes.uint32, fc.integer({ min: 0, max: 2 ** 32 - 1 })],
  [dataTypes.uint64, fc.maxSafeNat()],
  [dataTypes.double, fc.double({ noNaN: true, noDefaultInfinity: true })],
  [dataTypes.boolean, fc.boolean()],
  [dataTypes.text, fc.string()],
  [dataTypes.dateTime, fc.maxSafeNat()],
];

test('property: a value is read as it was written', () => {
  for (const [dataType, values] of typesByValue) {
    fc.assert(
      fc.property(values, (value) => {
        assert.equal(read(dataType, metricFields('m', dataType, value)), value);
      }),
      seeded,
    );
  }
});

test('fuzz: every field with every data type is a value, none, or unreadable', () => {
  const fields: fc.Arbitrary<Metric> = fc.record(
    {
      isNull: fc.boolean(),
      intValue: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      longValue: fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
      floatValue: fc.float(),
      doubleValue: fc.double(),
      booleanValue: fc.boolean(),
      stringValue: fc.string(),
      bytesValue: fc.uint8Array({ maxLength: 64 }),
      datasetValue: fc.uint8Array({ maxLength: 8 }),
    },
    { requiredKeys: [], noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.nat({ max: 40 }), fields, (dataType, metric) => {
      const value = metricValue(metric, dataType);
      if (typeof value === 'number') assert.ok(Number.isFinite(value));
      else if (typeof value !== 'string' && typeof value !== 'boolean' && value !== undefined)
        assert.ok(value instanceof UnreadableMetric);
    }),
    fuzzed(2_000),
  );
});
