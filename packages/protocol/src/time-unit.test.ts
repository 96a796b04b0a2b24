import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mistakenUnitOf } from './time-unit.ts';

test('a time from 1980 to 2100 in seconds, microseconds or nanoseconds is recognized', () => {
  for (let year = 1980; year <= 2100; year++) {
    const ms = Date.UTC(year, 6, 1);
    assert.equal(mistakenUnitOf(ms), undefined, String(year));
    assert.equal(mistakenUnitOf(ms / 1e3), 'seconds', String(year));
    assert.equal(mistakenUnitOf(ms * 1e3), 'microseconds', String(year));
    assert.equal(mistakenUnitOf(ms * 1e6), 'nanoseconds', String(year));
  }
  assert.equal(mistakenUnitOf(0), undefined);
});
