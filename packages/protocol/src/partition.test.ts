import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { character, devicePath, seeded } from '../test/arbitraries.ts';
import { murmur2, partitionOf } from './partition.ts';

/** From org.apache.kafka.common.utils.UtilsTest#testMurmur2; after the empty line, computed by kafkajs. */
const vectors: readonly (readonly [string, number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],

  ['', 275646681],
  ['a', -1563381124],
  ['ab', 316155434],
  ['plant1', -587225757],
  ['plant1.line3.press7', 954057870],
  ['plant1.line3.press70', 206233855],
  ['host.server-1.cpu0', 1024317271],
  ['t.d000001', -1502550149],
  ['Köln.Linie3', 1662419658],
  ['温度', -43931296],
  ['😀', 131881617],
];

test("hashes as Kafka's Java producer does", () => {
  for (const [key, hash] of vectors) {
    assert.equal(murmur2(key), hash, key);
    assert.equal(murmur2(Buffer.from(key)), hash, key);
  }
});

test('a text has the hash of its UTF-8 bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: character }), (key) => assert.equal(murmur2(key), murmur2(Buffer.from(key)))),
    seeded,
  );
});

test('the partition of a negative hash is that of toPositive, not of abs', () => {
  assert.equal(partitionOf('foobar', 12), (-790332482 & 0x7fffffff) % 12);
  assert.notEqual(partitionOf('foobar', 12), 790332482 % 12);
});

test('every key has a partition of the topic, and every partition is used', () => {
  const used = new Set<number>();
  fc.assert(
    fc.property(devicePath, (path) => {
      const partition = partitionOf(path, 12);
      assert.ok(Number.isInteger(partition) && partition >= 0 && partition < 12);
      used.add(partition);
    }),
    { ...seeded, numRuns: 400 },
  );
  assert.equal(used.size, 12);
});
