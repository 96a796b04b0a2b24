import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Subscribe } from '@tailrace/protocol/client-message';
import { TailraceError } from '@tailrace/protocol/error';
import { viewKey, viewOptionsFrom } from './view-options.ts';

const request = (options: Omit<Subscribe, 'id' | 'channel'>): Subscribe => ({ id: 'a', channel: 'p.d', ...options });

function errorOf(options: Omit<Subscribe, 'id' | 'channel'>): string {
  try {
    viewOptionsFrom(request(options));
  } catch (thrown) {
    assert.ok(thrown instanceof TailraceError);
    assert.equal(thrown.code, 'invalid_message');
    return thrown.message;
  }
  return assert.fail(`${JSON.stringify(options)} was accepted`);
}

test('a subscription without options has its encoding as key', () => {
  assert.deepEqual(viewOptionsFrom(request({ snapshot: false, after: 'x' })), {});
  assert.deepEqual(viewOptionsFrom(request({ delta: false })), {});
  assert.equal(viewKey('json', {}), 'json');
  assert.equal(viewKey('proto', viewOptionsFrom(request({ delta: false }))), 'proto');
});

test('equal options have one key, and different options have different keys', () => {
  const key = (options: Omit<Subscribe, 'id' | 'channel'>) => viewKey('json', viewOptionsFrom(request(options)));
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

test('invalid options are rejected with the value and what was expected', () => {
  assert.match(errorOf({ maxRate: 0 }), /maxRate: expected 0\.001 to 1000 frames a second, got 0$/);
  assert.match(errorOf({ maxRate: 1_001 }), /maxRate: .*, got 1001$/);
  assert.match(errorOf({ align: 1_000, from: 1 }), /expected either align or from, got both/);
  assert.match(errorOf({ maxRate: Number.NaN }), /maxRate: .*, got NaN$/);
  assert.match(errorOf({ deadband: {} }), /deadband: expected absolute, percent or both, .*, got neither/);
  assert.match(errorOf({ deadband: { absolute: -1 } }), /deadband\.absolute: expected a finite number from 0, got -1$/);
  assert.match(
    errorOf({ deadband: { absolute: 1, percent: Number.POSITIVE_INFINITY } }),
    /deadband\.percent: .*, got Infinity$/,
  );
  assert.match(errorOf({ tags: [] }), /tags: expected 1 to 100 tags, got 0$/);
  assert.match(errorOf({ tags: Array.from({ length: 101 }, (_, i) => `${i}`) }), /tags: .*, got 101$/);
  assert.match(errorOf({ tags: [''] }), /tags: expected tags of 1 to 128 characters, got ""$/);
  assert.match(errorOf({ tags: ['x'.repeat(129)] }), /1 to 128 characters/);
  assert.match(errorOf({ tags: ['a', 'b', 'a'] }), /tags: expected each tag once, got "a" twice/);
  assert.match(errorOf({ align: 99 }), /align: expected 100 to 3600000 ms, got 99$/);
  assert.match(errorOf({ align: 100, maxRate: 1 }), /expected either align or maxRate, got both/);
  assert.match(errorOf({ align: 100, deadband: { absolute: 1 } }), /either align or deadband/);
  assert.match(errorOf({ align: 100, delta: true }), /either align or delta/);
});

test('the limits themselves are accepted', () => {
  const tags = Array.from({ length: 100 }, (_, i) => `${i}`);
  for (const options of [
    { maxRate: 0.001 },
    { maxRate: 1_000, deadband: { absolute: 0, percent: 0 }, delta: true, tags },
    { align: 100, tags: ['x'.repeat(128)] },
    { align: 3_600_000 },
  ])
    assert.deepEqual(Object.keys(viewOptionsFrom(request(options))).toSorted(), Object.keys(options).toSorted());
});
