import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patternCovers, patternMatches } from '@tailrace/protocol/pattern';
import fc from 'fast-check';
import { rightsFrom } from './access.ts';

test('a granted subtree covers the devices and channels within it, and nothing else', () => {
  const rights = rightsFrom(['plant1.line3.>', 'plant2.gate']);
  assert.equal(rights.allowsDevice('plant1.line3.press7'), true);
  assert.equal(rights.allowsDevice('plant1.line3'), false);
  assert.equal(rights.allowsDevice('plant1.line33.press7'), false);
  assert.equal(rights.allowsDevice('plant2.gate'), true);
  assert.equal(rights.allowsChannel('plant1.line3.press7.>'), true);
  assert.equal(rights.allowsChannel('plant1.>'), false);
  assert.equal(rights.allowsChannel('>'), false);
});

test('a right to all covers all, no right covers nothing', () => {
  assert.equal(rightsFrom(['a.b', '>']).allowsDevice('x.y'), true);
  assert.equal(rightsFrom(['>']).allowsChannel('>'), true);
  assert.equal(rightsFrom([]).allowsDevice('x.y'), false);
  assert.equal(rightsFrom([]).allowsChannel('x.y'), false);
});

test('results are the same beyond the capacity of the cache', () => {
  const rights = rightsFrom(['plant1.>']);
  for (let pass = 0; pass < 2; pass++) {
    for (let device = 0; device < 3_000; device++) {
      assert.equal(rights.allowsDevice(`plant1.d${device}`), true);
      assert.equal(rights.allowsDevice(`plant2.d${device}`), false);
    }
  }
});

test('rights allow what any of their patterns allows', () => {
  const segment = fc.constantFrom('a', 'b', 'ab', 'a-b');
  const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('.'));
  const subtree = path.map((parent) => `${parent}.>`);
  const pattern = fc.oneof(path, subtree);
  fc.assert(
    fc.property(
      fc.array(pattern, { maxLength: 6 }),
      path,
      fc.oneof(pattern, fc.constant('>')),
      (patterns, device, channel) => {
        const rights = rightsFrom(patterns);
        assert.equal(
          rights.allowsDevice(device),
          patterns.some((each) => patternMatches(each, device)),
        );
        assert.equal(
          rights.allowsChannel(channel),
          patterns.some((each) => patternCovers(each, channel)),
        );
      },
    ),
  );
});

test('a check of 256 patterns costs about as much as one of two', () => {
  const channels = Array.from({ length: 20_000 }, (_, i) => `plant${i % 300}.line${i % 7}.press${i}`);
  const patterns = Array.from({ length: 256 }, (_, i) => `plant${i}.line${i % 7}.>`);
  /** Returns the least of several measurements: other processes and the garbage collector disturb some. */
  const usOf = (rights: ReturnType<typeof rightsFrom>) => {
    let least = Number.POSITIVE_INFINITY;
    for (let measurement = 0; measurement < 5; measurement++) {
      const start = process.cpuUsage();
      for (const channel of channels) rights.allowsChannel(channel);
      const { user, system } = process.cpuUsage(start);
      least = Math.min(least, user + system);
    }
    return least;
  };
  const [few, all] = [usOf(rightsFrom(patterns.slice(0, 2))), usOf(rightsFrom(patterns))];
  // A loop over all patterns takes more than fifty times as much.
  assert.ok(all <= 10 * few, `${all} µs for 256 patterns, ${few} µs for 2`);
});
