import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyJson, nearPath, nearPattern, seeded } from '../test/arbitraries.ts';
import { errorOf } from '../test/errors.ts';
import { assertPattern, isPattern, isSubtree, patternCovers, patternMatches } from './pattern.ts';

/** Matches by the definition, on segments. */
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
    assert.match(
      errorOf(() => assertPattern(value), 'invalid_pattern').message,
      /^pattern: expected a device path .*, got /,
    );
    assert.ok(!isPattern(value));
  }
});

test('a subtree matches devices below its path, not the path itself', () => {
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

test('a pattern covers another exactly if it matches every device of the other', () => {
  fc.assert(
    fc.property(nearPattern, nearPattern, nearPath, (outer, inner, path) => {
      if (patternCovers(outer, inner)) {
        assert.ok(!patternMatches(inner, path) || patternMatches(outer, path));
        return;
      }
      // Otherwise there is a witness: the device itself, or some device in the subtree.
      const below = inner === '>' ? ['zz', 'a', 'b', 'ab'] : [`${inner.slice(0, -1)}zz`];
      const witnesses = isSubtree(inner) ? below : [inner];
      assert.ok(witnesses.some((witness) => patternMatches(inner, witness) && !patternMatches(outer, witness)));
    }),
    { ...seeded, numRuns: 2000 },
  );
});

test('any JSON value is a pattern or has an error', () => {
  fc.assert(
    fc.property(anyJson, (value) => {
      if (!isPattern(value)) errorOf(() => assertPattern(value), 'invalid_pattern');
    }),
    seeded,
  );
});
