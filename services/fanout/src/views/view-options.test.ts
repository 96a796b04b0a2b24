import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Subscribe } from '@tailrace/protocol/client-message';
import { TailraceError } from '@tailrace/protocol/error';
import { viewKey, viewOptionsFrom } from './view-options.ts';

const wish = (options: Omit<Subscribe, 'id' | 'channel'>): Subscribe => ({ id: 'a', channel: 'p.d', ...options });

function faultOf(options: Omit<Subscribe, 'id' | 'channel'>): string {
  try {
    viewOptionsFrom(wish(options));
  } catch (thrown) {
    assert.ok(thrown instanceof TailraceError);
    assert.equal(thrown.code, 'invalid_message');
    return thrown.message;
  }
  return assert.fail(`${JSON.stringify(options)} was taken`);
}

test('a subscription without options is seen as it comes, under the name of its encoding', () => {
  assert.deepEqual(viewOptionsFrom(wish({ snapshot: false, after: 'x' })), {});
  assert.deepEqual(viewOptionsFrom(wish({ delta: false })), {});
  assert.equal(viewKey('json', {}), 'json');
  assert.equal(viewKey('proto', viewOptionsFrom(wish({ delta: false }))), 'proto');
});

test('equal wishes have one key, and different ones have different keys', () => {
  const key = (options: Omit<Subscribe, 'id' | 'channel'>) => viewKey('json', viewOptionsFrom(wish(options)));
  assert.equal(key({ tags: ['b', 'a'], maxRate: 2 }), key({ maxRate: 2, tags: ['a', 'b'] }));
  assert.equal(key({ deadband: { absolute: 1, percent: 2 } }), key({ deadband: { percent: 2, absolute: 1 } }));
  const all = [
    key({}),
    key({ maxRate: 1 }),
    key({ maxRate: 2 }),
    key({ align: 1_000 }),
    key({ delta: true }),
    key({ tags: ['a'] }),
    key({ tags: ['a', 'b'] }),
    key({ tags: ['a,b'] }),
    key({ tags: ['a","b'] }),
    key({ deadband: { absolute: 1 } }),
    key({ deadband: { percent: 1 } }),
    key({ deadband: { absolute: 1, percent: 1 } }),
    key({ deadband: { absolute: 1 }, delta: true }),
    viewKey('proto', { maxRate: 1 }),
  ];
  assert.equal(new Set(all).size, all.length);
});

test('what makes no sense is refused with the value and what would be right', () => {
  assert.match(faultOf({ maxRate: 0 }), /maxRate is 0; right is 0\.001 to 1000 frames a second/);
  assert.match(faultOf({ maxRate: 1_001 }), /maxRate is 1001/);
  assert.match(faultOf({ align: 1_000, from: 1 }), /align and from are both asked for/);
  assert.match(faultOf({ maxRate: Number.NaN }), /maxRate is NaN/);
  assert.match(faultOf({ deadband: {} }), /deadband is empty; right is absolute, percent or both/);
  assert.match(faultOf({ deadband: { absolute: -1 } }), /deadband\.absolute is -1; right is/);
  assert.match(
    faultOf({ deadband: { absolute: 1, percent: Number.POSITIVE_INFINITY } }),
    /deadband\.percent is Infinity/,
  );
  assert.match(faultOf({ tags: [] }), /tags has 0 tags; right is 1 to 100/);
  assert.match(faultOf({ tags: Array.from({ length: 101 }, (_, i) => `${i}`) }), /tags has 101 tags/);
  assert.match(faultOf({ tags: [''] }), /tags has ""; right are tags of 1 to 128 characters/);
  assert.match(faultOf({ tags: ['x'.repeat(129)] }), /1 to 128 characters/);
  assert.match(faultOf({ tags: ['a', 'b', 'a'] }), /tags has "a" twice/);
  assert.match(faultOf({ align: 99 }), /align is 99; right is 100 to 3600000 ms/);
  assert.match(faultOf({ align: 100, maxRate: 1 }), /align and maxRate are both asked for; right is one of them/);
  assert.match(faultOf({ align: 100, deadband: { absolute: 1 } }), /align and deadband/);
  assert.match(faultOf({ align: 100, delta: true }), /align and delta/);
});

test('the limits themselves are right', () => {
  const tags = Array.from({ length: 100 }, (_, i) => `${i}`);
  for (const options of [
    { maxRate: 0.001 },
    { maxRate: 1_000, deadband: { absolute: 0, percent: 0 }, delta: true, tags },
    { align: 100, tags: ['x'.repeat(128)] },
    { align: 3_600_000 },
  ])
    assert.deepEqual(Object.keys(viewOptionsFrom(wish(options))).toSorted(), Object.keys(options).toSorted());
});
