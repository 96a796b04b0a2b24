import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decimalsOf, fixed, shownAge, shownNumber, shownText, unitLabel } from './format.ts';

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
