import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patternMatches } from '@tailrace/protocol/pattern';
import fc from 'fast-check';
import { PathIndex } from './path-index.ts';

const at = (path: string) => ({ path });
const pathsOf = (items: Iterable<{ path: string }>) => Array.from(items, ({ path }) => path);

/**
 * Short segments of few characters, including those that sort around the dot, so that paths are neighbors.
 */
const segment = fc.string({ unit: fc.constantFrom('a', 'b', '-', '_', '0', 'Z'), minLength: 1, maxLength: 2 });
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('.'));
const pattern = fc.oneof(
  path,
  path.map((parent) => `${parent}.>`),
  fc.constant('>'),
);

test('a pattern finds the devices that it covers, each once, for any page size', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(path, { maxLength: 60 }),
      pattern,
      fc.integer({ min: 1, max: 5 }),
      (paths, covers, max) => {
        const index = new PathIndex();
        for (const each of paths) index.add(at(each));
        const expected = paths.filter((each) => patternMatches(covers, each)).sort();
        assert.deepEqual(pathsOf(index.in(covers)), expected);
        assert.equal(index.count(covers), expected.length);
        const paged: string[] = [];
        for (let page = index.page(covers, '', max); page.length > 0; page = index.page(covers, paged.at(-1)!, max)) {
          paged.push(...pathsOf(page));
        }
        assert.deepEqual(paged, expected);
      },
    ),
  );
});

test('items that stay are listed once although others are added and deleted between pages', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(path, { maxLength: 60 }),
      fc.array(fc.record({ path, isAdded: fc.boolean() }), { maxLength: 60 }),
      (paths, changes) => {
        const index = new PathIndex();
        for (const each of paths) index.add(at(each));
        const touched = new Set(changes.map((change) => change.path));
        const seen: string[] = [];
        for (let page = index.page('>', '', 2); page.length > 0; page = index.page('>', seen.at(-1)!, 2)) {
          seen.push(...pathsOf(page));
          const change = changes.shift();
          if (change === undefined) continue;
          if (!change.isAdded) index.delete(change);
          else if (index.find(change.path) === undefined) index.add(at(change.path));
        }
        assert.deepEqual(
          seen.filter((each) => !touched.has(each)),
          paths.filter((each) => !touched.has(each)).sort(),
        );
        assert.equal(new Set(seen).size, seen.length);
      },
    ),
  );
});

test('thousands of devices are added in any order, and deleted', () => {
  const index = new PathIndex();
  const all = Array.from({ length: 5_000 }, (_, i) => `t${(i * 7) % 10}.line${(i * 31) % 97}.m${(i * 7_919) % 5_000}`);
  for (const each of all) index.add(at(each));
  assert.deepEqual(pathsOf(index.in('>')), all.toSorted());
  assert.equal(index.count('t3.>'), all.filter((each) => each.startsWith('t3.')).length);
  for (const [i, each] of all.entries()) if (i % 5 !== 0) assert.equal(index.delete(at(each)), true);
  const left = all.filter((_, i) => i % 5 === 0);
  assert.deepEqual(pathsOf(index.in('>')), left.toSorted());
  assert.equal(index.size, left.length);
  assert.equal(index.delete(at('t1.none')), false);
  for (const each of left) index.delete(at(each));
  assert.deepEqual([index.size, pathsOf(index.in('>'))], [0, []]);
});
