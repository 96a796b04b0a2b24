import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patternCovers } from '@tailrace/protocol/pattern';
import { deviceQueryFrom, disjointPatterns } from './devices-endpoint.ts';

test('patterns that another pattern covers are removed, so that no device is listed twice', () => {
  assert.deepEqual(disjointPatterns(['a.b.>', 'a.>', 'a.b.c', 'b', 'b', 'a']), ['a.>', 'b', 'a']);
  assert.deepEqual(disjointPatterns(['x.y', '>']), ['>']);
  // The same as comparing each pattern with each.
  const segments = ['a', 'b', 'a-b'];
  const all = segments.flatMap((a) => [a, `${a}.>`, ...segments.flatMap((b) => [`${a}.${b}`, `${a}.${b}.>`])]);
  for (let n = 0; n < 500; n++) {
    const some = all.filter((_, index) => (n * 7919 + index * 104_729) % 11 < 3);
    const expected = some.filter((inner) => !some.some((outer) => outer !== inner && patternCovers(outer, inner)));
    assert.deepEqual(disjointPatterns(some), expected);
  }
});

test('without a channel the list has all devices that the token covers; a channel has to be covered', () => {
  const claims = { subscribe: ['plant1.>', 'plant2.line1.>'] };
  assert.deepEqual(deviceQueryFrom({}, claims), {
    patterns: ['plant1.>', 'plant2.line1.>'],
    after: '',
    limit: 100,
    counts: true,
  });
  const page = deviceQueryFrom({ channel: 'plant1.line3.>', after: 'plant1.line3.a', limit: '1000' }, claims);
  assert.deepEqual(page, { patterns: ['plant1.line3.>'], after: 'plant1.line3.a', limit: 1000, counts: false });
  const refused = [
    [{ channel: '>' }, 'forbidden'],
    [{ channel: 'plant2.>' }, 'forbidden'],
    [{ channel: 'plant1..x' }, 'invalid_pattern'],
    [{ after: 'a..b' }, 'invalid_path'],
    [{ limit: '1001' }, 'invalid_message'],
    [{ limit: '-1' }, 'invalid_message'],
    [{ limit: '1e2' }, 'invalid_message'],
  ] as const;
  for (const [params, code] of refused)
    assert.throws(() => deviceQueryFrom(params, claims), { code }, JSON.stringify(params));
  assert.throws(() => deviceQueryFrom({}, { subscribe: [] }), { code: 'forbidden' });
});
