import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstIndex } from './first-index.ts';

test('the first match of any range is found, its end without one, and its start if all match', () => {
  for (let from = 0; from < 4; from++) {
    for (let to = from; to < 12; to++) {
      for (let first = from; first <= to; first++) {
        const found = firstIndex(from, to, (index) => {
          assert.ok(index >= from && index < to, `${index} is in the range`);
          return index >= first;
        });
        assert.equal(found, first);
      }
    }
  }
});
