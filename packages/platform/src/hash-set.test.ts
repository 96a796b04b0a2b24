import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HashSet } from './hash-set.ts';
import { TextHash } from './text-hash.ts';

test('a set has what was added, once, however much that is, at 11 to 23 bytes each', () => {
  const hash = new TextHash();
  const pairs = Array.from({ length: 20_000 }, (_, n) => {
    hash.take(`text ${n}`, 1, 2);
    return [hash.high, hash.low] as const;
  });
  const set = new HashSet();
  for (const [i, [high, low]] of pairs.entries()) {
    assert.equal(set.has(high, low), false);
    assert.equal(set.add(high, low), true);
    assert.equal(set.add(high, low), false);
    assert.equal(set.size, i + 1);
  }
  for (const [high, low] of pairs) assert.ok(set.has(high, low));
  const bytes = set.bytes / set.size;
  assert.ok(bytes > 11 && bytes < 23, `${bytes} bytes`);
});

test('hashes that share a half, or are full of zeros, are distinguished', () => {
  const set = new HashSet();
  const pairs = [0, 1, 2 ** 31, 2 ** 32 - 1].flatMap((high) => [0, 1, 2 ** 31, 2 ** 32 - 1].map((low) => [high, low]));
  const some = pairs.slice(1) as [number, number][];
  for (const [high, low] of some) assert.equal(set.add(high, low), true);
  for (const [high, low] of some) assert.equal(set.has(high, low), true);
  assert.equal(set.has(3, 1), false);
});

test('a set of the expected size does not grow', () => {
  const set = new HashSet(1_000);
  const { bytes } = set;
  for (let i = 1; i <= 1_000; i++) set.add(i, i * 7);
  assert.equal(set.bytes, bytes);
});
