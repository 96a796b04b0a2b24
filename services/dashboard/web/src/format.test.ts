import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decimalsOf, fixed, shownAge, shownNumber, shownRange, shownText, unitLabel } from './format.ts';

const shown = (value: number, unit: string, decimals = 6) =>
  shownText(shownNumber(value, unit, decimals))
    .replaceAll('\u00a0', ' ')
    .replaceAll('\u202f', '_');

test('numbers have the decimals of their source, and no more than can be read', () => {
  assert.equal(shown(35, 'Cel', 1), '35.0 °C');
  assert.equal(shown(35.123456, 'Cel'), '35.12 °C');
  assert.equal(shown(1234.5678, 'bar'), '1235 bar');
  assert.equal(shown(0.0123, 'mm/s'), '0.012 mm/s');
  assert.equal(shown(892_952, '1', 0), '892_952');
  assert.equal(shown(-0.0001, 'V', 3), '0.000 V');
  assert.equal(shown(-45.2, 'deg', 1), '−45.2°');
  assert.equal(fixed(1e15, 0), '1.00e+15');
});

test('bytes and spans have the units that people read', () => {
  assert.equal(shown(0, 'By/s'), '0 B/s');
  assert.equal(shown(1536, 'By'), '1.536 kB');
  assert.equal(shown(17_690_000_000, 'By'), '17.69 GB');
  assert.equal(shown(4380, 's'), '1 h 13 min');
  assert.equal(shown(200_000, 's'), '2 d 7 h');
  assert.equal(unitLabel('kW.h'), 'kWh');
  assert.equal(unitLabel('N.m'), 'N·m');
});

test('a range has the units of its numbers where they differ from the unit of the value', () => {
  assert.equal(shownRange([6.51, 7.46], 'bar', 2, 'bar'), '6.51 to 7.46');
  assert.equal(shownRange([16_370, 451_400_000], 'By/s', 0, 'kB/s'), '16.37\u00a0kB/s to 451.4\u00a0MB/s');
  assert.equal(shownRange([1_200_000, 1_400_000], 'By/s', 0, 'kB/s'), '1.200 to 1.400\u00a0MB/s');
  assert.equal(shownRange([1_200_000, 1_400_000], 'By/s', 0, 'MB/s'), '1.200 to 1.400');
  assert.equal(shownRange([60, 7200], 's', 0, ''), '60\u00a0s to 2 h 0 min');
});

test('a range of two numbers with the same text is not shown', () => {
  assert.equal(shownRange([7292.71, 7292.72], 'h', 2, 'h'), undefined);
  assert.notEqual(shownRange([1000, 1_000_000], 'By', 0, 'B'), undefined);
});

test('the decimals of a number are those it is written with', () => {
  assert.deepEqual([0, 12, 12.5, 0.1 + 0.2, 1e-9, 1 / 3, 903_910.123].map(decimalsOf), [0, 0, 1, 1, 6, 6, 3]);
});

test('an age is one number', () => {
  assert.deepEqual([0, 999, 1000, 119_000, 120_000, 7_200_000, 172_800_000].map(shownAge), [
    '<1 s',
    '<1 s',
    '1 s',
    '119 s',
    '2 min',
    '2 h',
    '2 d',
  ]);
});
