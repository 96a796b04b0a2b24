import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterMatches } from '@tailrace/mqtt/topic';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { filtersOverlap } from './topic-filters.ts';

test('filters overlap where a topic matches both', () => {
  for (const [a, b, expected] of [
    ['a/b', 'a/b', true],
    ['a/b', 'a/c', false],
    ['a/+', '+/b', true],
    ['a/+/c', 'a/b', false],
    ['a/#', 'a', true],
    ['a/#', 'b/#', false],
    ['#', 'a/b/c', true],
    ['#', '$SYS/a', false],
    ['+/a', '$SYS/a', false],
  ] as const) {
    assert.equal(filtersOverlap(a, b), expected, `${a} ${b}`);
    assert.equal(filtersOverlap(b, a), expected, `${b} ${a}`);
  }
});

test('the result is that of a search through all topics of two letters and up to three levels', () => {
  const letters = ['a', '$'];
  const topics = letters.flatMap((a) => [
    a,
    ...letters.flatMap((b) => [`${a}/${b}`, ...letters.map((c) => `${a}/${b}/${c}`)]),
  ]);
  const level = fc.constantFrom('a', '$', '+');
  const filter = fc
    .tuple(fc.array(level, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([levels, hasRest]) => (hasRest && levels.length < 3 ? [...levels, '#'] : levels).join('/'));
  fc.assert(
    fc.property(filter, filter, (a, b) => {
      const found = topics.some((topic) => filterMatches(a, topic) && filterMatches(b, topic));
      assert.equal(filtersOverlap(a, b), found);
    }),
    fuzzed(3_000),
  );
});
