import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyJson, nearPath, nearPattern, seeded } from '../test/arbitraries.ts';
import { faultOf } from '../test/faults.ts';
import { assertPattern, isPattern, isSubtree, patternCovers, patternMatches } from './pattern.ts';

/** By the definition, on segments. */
function naiveMatches(pattern: string, path: string): boolean {
  const wanted = pattern.split('.');
  const segments = path.split('.');
  if (wanted.at(-1) !== '>') return pattern === path;
  const prefix = wanted.slice(0, -1);
  return segments.length > prefix.length && prefix.every((segment, index) => segment === segments[index]);
}

test('a pattern is a path, a path and ".>", or ">"', () => {
  for (const pattern of ['>', 'a', 'a.>', 'a.b.c.d.e.f.g.h', 'a.b.c.d.e.f.g.>']) assert.ok(isPattern(pattern), pattern);
  for (const value of [
    '',
    '.>',
    'a>',
    'a..>',
    '>.a',
    'a.>.b',
    '*',
    'a.*',
    'a.>.>',
    '>>',
    'a/b',
    ' >',
    null,
    1,
    {},
    ['>'],
  ]) {
    assert.match(faultOf(() => assertPattern(value), 'invalid_pattern').message, /right is a device path/);
    assert.ok(!isPattern(value));
  }
});

test('a subtree holds what is below its path, not the path itself', () => {
  assert.ok(patternMatches('plant1.>', 'plant1.line3'));
  assert.ok(patternMatches('plant1.>', 'plant1.line3.press7'));
  assert.ok(!patternMatches('plant1.>', 'plant1'));
  assert.ok(!patternMatches('plant1.>', 'plant10.line3'));
  assert.ok(isSubtree('plant1.>') && isSubtree('>') && !isSubtree('plant1'));
});

test('matching agrees with the definition', () => {
  fc.assert(
    fc.property(nearPattern, nearPath, (pattern, path) => {
      assert.equal(patternMatches(pattern, path), naiveMatches(pattern, path));
    }),
    { ...seeded, numRuns: 2000 },
  );
});

test('a pattern covers another exactly if it matches all that the other matches', () => {
  fc.assert(
    fc.property(nearPattern, nearPattern, nearPath, (outer, inner, path) => {
      if (patternCovers(outer, inner)) {
        assert.ok(!patternMatches(inner, path) || patternMatches(outer, path));
        return;
      }
      // Where it does not cover there is a witness: the device itself, or some device in the subtree.
      const below = inner === '>' ? ['zz', 'a', 'b', 'ab'] : [`${inner.slice(0, -1)}zz`];
      const witnesses = isSubtree(inner) ? below : [inner];
      assert.ok(witnesses.some((witness) => patternMatches(inner, witness) && !patternMatches(outer, witness)));
    }),
    { ...seeded, numRuns: 2000 },
  );
});

test('nothing but a pattern passes, and nothing crashes', () => {
  fc.assert(
    fc.property(anyJson, (value) => {
      if (!isPattern(value)) faultOf(() => assertPattern(value), 'invalid_pattern');
    }),
    seeded,
  );
});
