import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gapMsFrom } from './gaps.ts';
import { hashFromPlace, placeFromHash } from './location.ts';
import { presenceWords } from './presence.ts';
import { timeTicks } from './timescale.ts';
import { orderKeyOf, rowsFrom, searchFor } from './tree.ts';

function inOrder(paths: readonly string[]): string[] {
  const keyed = paths.map((path) => [orderKeyOf(path), path] as const);
  return keyed.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path);
}

test('a device is shown as the server sees it, and not as live while its reports are not read or the connection is down', () => {
  assert.deepEqual(presenceWords('online', true, false), ['good', 'live']);
  assert.deepEqual(presenceWords('stale', true, false), ['warn', 'stale']);
  assert.deepEqual(presenceWords('offline', true, false), ['bad', 'offline']);
  assert.deepEqual(presenceWords('online', true, true), ['warn', 'interrupted']);
  assert.deepEqual(presenceWords('stale', true, true), ['warn', 'interrupted']);
  assert.deepEqual(presenceWords('online', false, true), ['warn', 'not live']);
  assert.deepEqual(presenceWords('offline', false, true), ['bad', 'offline']);
});

test('a pause much longer than usual is a gap', () => {
  const steady = Float64Array.from({ length: 50 }, (_, index) => index * 2000);
  assert.equal(gapMsFrom(steady), 8000);
  assert.equal(gapMsFrom(Float64Array.from({ length: 50 }, (_, index) => index * 10)), 3000);
  assert.equal(gapMsFrom(Float64Array.of(1, 99_999)), Number.POSITIVE_INFINITY);
});

test('the address keeps section, device and window, and invalid values are ignored', () => {
  for (const place of [
    { section: 'device', device: 'plant1.line1.press1', windowMinutes: 5 },
    { section: 'device', device: undefined, windowMinutes: 15 },
    { section: 'device', device: 'host.a-b_c.cpu', windowMinutes: 1 },
    { section: 'alarms', device: undefined, windowMinutes: 1 },
    { section: 'scenes', device: undefined, windowMinutes: 5 },
  ] as const) {
    assert.deepEqual(placeFromHash(hashFromPlace(place)), place);
  }
  const start = { section: 'device', device: undefined, windowMinutes: 1 };
  for (const hash of ['#/<script>?window=99', '', '#/~nothing']) assert.deepEqual(placeFromHash(hash), start);
});

test('devices are grouped by path and ordered as people count', () => {
  const rows = rowsFrom(inOrder(['a.line10.x', 'a.line2.x10', 'a.line2.x9', 'solo', 'a.line2']), '');
  assert.deepEqual(
    rows.map((row) => (row.kind === 'group' ? `[${row.path} ${row.count}]` : row.name)),
    ['[ 1]', 'solo', '[a 1]', 'line2', '[a.line2 2]', 'x9', 'x10', '[a.line10 1]', 'x'],
  );
  const order = ['b', 'a.b', 'a.B2', 'a.b10', 'a-1.x', 'a_1.x', 'a1.x', 'a2.x', 'a02.y', 'ab.x', 'ab.c.y', 'b.x'];
  assert.deepEqual(inOrder([...order].reverse()), order);
});

test('each device of the list has its position among the devices that are found', () => {
  const rows = rowsFrom(inOrder(['a.x', 'b.x', 'b.y', 'c.x']), 'b');
  assert.deepEqual(
    rows.map((row) => (row.kind === 'group' ? row.count : [row.path, row.position])),
    [2, ['b.x', 1], ['b.y', 2]],
  );
});

test('a search finds every word anywhere in the path', () => {
  assert.ok(searchFor('PRESS line2')('plant1.line2.press1'));
  assert.ok(!searchFor('press line3')('plant1.line2.press1'));
  assert.ok(searchFor('')('anything'));
  assert.deepEqual(rowsFrom(['a.b'], 'nothing'), []);
});

test('ticks of the time axis are at full steps, and few', () => {
  assert.deepEqual(timeTicks(1000, 61_000, 3), [20_000, 40_000, 60_000]);
  for (const span of [600, 60_000, 900_000, 7_200_000]) assert.ok(timeTicks(12_345, 12_345 + span, 8).length <= 9);
});
