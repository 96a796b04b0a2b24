import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Report } from '@tailrace/protocol/report';
import { readingCountsOf } from './gateway-readings.ts';

const outages = [{ fromMs: 10_000, toMs: 50_000 }];
const times = { outages, readAtMs: (_device: string, count: number) => (count > 90 ? undefined : count * 1_000) };
const report = (counts: readonly number[], shiftMs = 0): Report => ({
  device: 'plant1.meter1',
  time: 0,
  readings: counts.map((count) => ({ tag: 'count', value: count, time: count * 1_000 + shiftMs })),
});

test('readings in order with their own times, beside live ones and again, have no fault', () => {
  const counts = readingCountsOf([report([1, 2]), report([11, 12]), report([60]), report([13]), report([11])], times);
  assert.deepEqual(counts, { readings: 6, backlog: 3, wrongTimes: [], disordered: [] });
});

test('a reading of an outage after a newer one is disordered, and one with the time of its receipt is wrong', () => {
  const { disordered, wrongTimes } = readingCountsOf([report([12]), report([11]), report([13], 40_000)], times);
  assert.deepEqual(disordered, ['plant1.meter1 11 after 12']);
  assert.deepEqual(wrongTimes, ['plant1.meter1 13: read at 13000, has 53000']);
});

test('other tags, and readings that were not sent, are not counted', () => {
  const other: Report = { device: 'plant1.edge1', time: 0, readings: [{ tag: 'link', value: 'up' }] };
  assert.equal(readingCountsOf([other, report([99])], times).readings, 0);
});
