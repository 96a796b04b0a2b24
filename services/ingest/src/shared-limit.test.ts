import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedLimit } from './shared-limit.ts';

test('one sender uses half of a limit at most, and all of them together no more than all of it', () => {
  const limit = new SharedLimit(10);
  limit.add('a', 5);
  assert.deepEqual(limit.exceeded('a'), { max: 5, of: 'one sender' });
  assert.equal(limit.exceeded('b', 5), undefined);
  limit.add('b', 4);
  limit.add('c');
  assert.deepEqual(limit.exceeded('b'), { max: 10, of: 'all senders' });
  assert.deepEqual([limit.used, limit.mostOfOne(), limit.usedBy('c')], [10, 5, 1]);
  limit.add('a', -5);
  assert.deepEqual([limit.used, limit.usedBy('a'), limit.exceeded('a', 5)], [5, 0, undefined]);
});
