import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dataTypeName, dataTypes } from './data-type.ts';
import { metricFields } from './metric-fields.ts';

test('[tck-id-operational-behavior-data-commands-ncmd-metric-value] [tck-id-operational-behavior-data-commands-dcmd-metric-value] a value that does not fit the data type of the birth is rejected', () => {
  const types = dataTypes;
  for (const [dataType, value] of [
    [types.int8, 128],
    [types.int8, -129],
    [types.int16, 32_768],
    [types.int32, 2 ** 31],
    [types.int64, 2 ** 53],
    [types.int64, 1.5],
    [types.uint8, -1],
    [types.uint8, 256],
    [types.uint32, 2 ** 32],
    [types.uint64, -1],
    [types.float, 1e39],
    [types.float, Number.NaN],
    [types.double, Number.POSITIVE_INFINITY],
    [types.double, '1'],
    [types.boolean, 1],
    [types.string, 5],
    [types.dateTime, 1.5],
    [types.dateTime, -1],
    [types.dataSet, 1],
    [types.template, 'x'],
    [types.int8Array, '[1]'],
    [types.unknown, 1],
  ] as const) {
    assert.throws(() => metricFields('Speed', dataType, value), {
      code: 'invalid_message',
      message: new RegExp(`^metric "Speed": expected a value of ${dataTypeName(dataType)}, got `),
    });
  }
});

test('a negative integer is in two’s complement of its own size', () => {
  assert.deepEqual(metricFields('m', dataTypes.int8, -5), { intValue: 251 });
  assert.deepEqual(metricFields('m', dataTypes.int16, -1), { intValue: 0xffff });
  assert.deepEqual(metricFields('m', dataTypes.int32, -1), { intValue: 0xffffffff });
  assert.deepEqual(metricFields('m', dataTypes.int64, -1), { longValue: 2n ** 64n - 1n });
  assert.deepEqual(metricFields('m', dataTypes.int32, -0), { intValue: 0 });
});
