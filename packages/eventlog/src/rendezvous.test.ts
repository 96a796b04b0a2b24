import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assignPartitions, memberPartitionsMax } from './rendezvous.ts';

const members = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 20 });
const partitionCount = fc.integer({ min: 0, max: 256 });

function namesTo(count: number, prefix = 'fanout'): string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}-${n}`);
}

/** Returns the partitions whose owner differs. */
function moved(before: Map<string, number[]>, after: Map<string, number[]>): number {
  let count = 0;
  for (const [name, own] of after) {
    const had = new Set(before.get(name));
    count += own.filter((partition) => !had.has(partition)).length;
  }
  return count;
}

test('every partition is assigned exactly once, and no member has more than the limit', () => {
  fc.assert(
    fc.property(members, partitionCount, (names, partitions) => {
      const assigned = assignPartitions(names, partitions);
      assert.deepEqual([...assigned.keys()].sort(), [...names].sort());
      const all = [...assigned.values()].flat().sort((a, b) => a - b);
      assert.deepEqual(
        all,
        Array.from({ length: partitions }, (_, n) => n),
      );
      for (const own of assigned.values()) {
        assert.ok(own.length <= memberPartitionsMax(names.length, partitions));
        assert.deepEqual(
          own,
          [...own].sort((a, b) => a - b),
        );
      }
    }),
  );
});

test('the assignment depends on the set of names alone, not on their order or duplicates', () => {
  fc.assert(
    fc.property(members, partitionCount, fc.integer(), (names, partitions, seed) => {
      const shuffled = [...names, ...names].sort((a, b) => hash(a, seed) - hash(b, seed));
      assert.deepEqual(assignPartitions(shuffled, partitions), assignPartitions(names, partitions));
    }),
  );
});

test('the assignment does not change with the code: nodes of two versions must agree', () => {
  assert.deepEqual(Object.fromEntries(assignPartitions(['node-a', 'node-b', 'node-c'], 12)), {
    'node-a': [3, 4, 6, 9],
    'node-b': [0, 1, 5, 7, 11],
    'node-c': [2, 8, 10],
  });
});

test('adding or removing one of N members of at most P/3 moves about P/N partitions: at most 1.4 P/N on average, 4 P/N at worst', () => {
  let sum = 0;
  let worst = 0;
  let cases = 0;
  for (const partitions of [48, 64, 256]) {
    for (let count = 2; count <= 16; count++) {
      for (let run = 0; run < 10; run++) {
        const names = namesTo(count, `run${run}`);
        const before = assignPartitions(names.slice(0, -1), partitions);
        const after = assignPartitions(names, partitions);
        // Adding and removing move the same number: the partitions whose owner differs.
        const ratio = moved(before, after) / (partitions / count);
        sum += ratio;
        worst = Math.max(worst, ratio);
        cases++;
      }
    }
  }
  assert.ok(sum / cases <= 1.4, `on average ${(sum / cases).toFixed(2)} P/N`);
  assert.ok(worst <= 4, `at worst ${worst.toFixed(2)} P/N`);
});

test('members with similar names have about equally many partitions, far below the limit', () => {
  const assigned = assignPartitions(namesTo(10), 10_000);
  for (const [name, own] of assigned) assert.ok(Math.abs(own.length - 1_000) < 150, `${name}: ${own.length}`);
});

test('without members nothing is assigned; an invalid number of partitions is refused', () => {
  assert.deepEqual(assignPartitions([], 12), new Map());
  assert.deepEqual(assignPartitions(['a'], 0), new Map([['a', []]]));
  assert.throws(() => assignPartitions(['a'], -1), { code: 'invalid_config' });
  assert.throws(() => assignPartitions(['a'], 1.5), { code: 'invalid_config' });
});

function hash(text: string, seed: number): number {
  let sum = seed;
  for (const char of text) sum = Math.imul(sum ^ char.codePointAt(0)!, 0x01000193);
  return sum;
}
