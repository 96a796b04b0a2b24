import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nearPath, nearPattern, seeded } from '../test/arbitraries.ts';
import { patternMatches } from './pattern.ts';
import { PatternTrie } from './pattern-trie.ts';

function matched(trie: PatternTrie<number>, path: string): number[] {
  const values: number[] = [];
  trie.match(path, (value) => values.push(value));
  return values;
}

test('finds what a scan of all patterns finds, after any sequence of additions and deletions', () => {
  const step = fc.tuple(fc.boolean(), nearPattern, fc.nat({ max: 3 }));
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.array(nearPath, { minLength: 1, maxLength: 8 }),
      (steps, paths) => {
        const trie = new PatternTrie<number>();
        const held = new Map<string, Set<number>>();
        for (const [adds, pattern, value] of steps) {
          const values = held.get(pattern) ?? new Set();
          if (adds) {
            trie.add(pattern, value);
            held.set(pattern, values.add(value));
          } else {
            assert.equal(trie.delete(pattern, value), values.delete(value));
            if (values.size === 0) held.delete(pattern);
          }
        }
        assert.equal(trie.size, held.size);
        for (const path of paths) {
          const expected = [...held].flatMap(([pattern, values]) => (patternMatches(pattern, path) ? [...values] : []));
          assert.deepEqual(matched(trie, path).sort(), expected.sort());
        }
      },
    ),
    { ...seeded, numRuns: 300 },
  );
});

test('visits the exact path first, then subtrees from the widest to the narrowest', () => {
  const trie = new PatternTrie<number>();
  for (const [value, pattern] of ['a.b.>', 'a.b.c', '>', 'a.>'].entries()) trie.add(pattern, value);
  assert.deepEqual(matched(trie, 'a.b.c'), [1, 2, 3, 0]);
});

test('a visitor may delete its value', () => {
  const trie = new PatternTrie<number>();
  for (const value of [1, 2, 3]) trie.add('a.>', value);
  const seen: number[] = [];
  trie.match('a.b', (value) => {
    seen.push(value);
    trie.delete('a.>', value);
  });
  assert.deepEqual(seen, [1, 2, 3]);
  assert.equal(trie.size, 0);
  assert.deepEqual(matched(trie, 'a.b'), []);
});
