import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeRefusal } from './write-bounds.ts';

test('a value within its bounds may be written', () => {
  assert.equal(writeRefusal({ min: 20, max: 180 }, 20), undefined);
  assert.equal(writeRefusal({ min: 20, max: 180 }, 180), undefined);
  assert.equal(writeRefusal({ values: [true, 'auto', 3] }, 'auto'), undefined);
});

test('any other value is refused, with what was expected', () => {
  assert.equal(writeRefusal(undefined, 1), 'the tag is read-only');
  assert.equal(writeRefusal({ min: 20, max: 180 }, 180.1), 'value: expected a number of 20 to 180, got 180.1');
  assert.match(writeRefusal({ min: 0, max: 1 }, true)!, /got true/);
  assert.match(writeRefusal({ min: 0, max: 1 }, Number.NaN)!, /got NaN/);
  assert.equal(writeRefusal({ values: [1, 2] }, 3), 'value: expected one of [1,2], got 3');
});
