import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noViolations } from './checker.ts';
import type { Seen } from './client.ts';
import type { Fault } from './faults.ts';
import { figuresFrom, judgement, percentilesOf, tableOf } from './figures.ts';

const roll: Fault = { name: 'roll', words: '', run: async () => {}, target: { what: 'pause p99', ms: 2_000 } };
const kill: Fault = { name: 'kill', words: '', run: async () => {}, target: { what: 'shown again p95', ms: 5_000 } };
const seen = (longestMs: number, shownAfterMs?: number, hit = true): Seen => ({
  node: 'fanout-0',
  nodeNow: 'fanout-1',
  hit,
  moves: 1,
  reports: 7,
  longestMs,
  liveAfterMs: shownAfterMs,
  shownAfterMs,
});

test('percentiles are by nearest rank', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.deepEqual(percentilesOf(values), { p50: 50, p95: 95, p99: 99, max: 100 });
  assert.deepEqual(percentilesOf([]), { p50: 0, p95: 0, p99: 0, max: 0 });
});

test("a pause is counted beyond the device's own interval", () => {
  const row = figuresFrom(roll, [seen(1_000), seen(2_500), seen(900)], 1_000, noViolations());
  assert.deepEqual(row.pause, { p50: 0, p95: 1_500, p99: 1_500, max: 1_500 });
});

test('a target that is met, not met within noise, and not met by more', () => {
  const of = (longestMs: number) => judgement(figuresFrom(roll, [seen(longestMs)], 0, noViolations()));
  assert.deepEqual(of(2_000), { words: 'pause p99 2000 of 2000 ms: met', fails: false });
  assert.deepEqual(of(4_000), { words: 'pause p99 4000 of 2000 ms: NOT MET', fails: false });
  assert.deepEqual(of(4_001), { words: 'pause p99 4001 of 2000 ms: FAILED', fails: true });
});

test('a kill counts the clients that were hit, and fails if one of them receives no report again', () => {
  const good = figuresFrom(kill, [seen(0, 3_000), seen(60_000, undefined, false)], 0, noViolations());
  assert.equal(good.hit, 1);
  assert.equal(judgement(good).fails, false);
  assert.equal(judgement(figuresFrom(kill, [seen(0, undefined)], 0, noViolations())).fails, true);
});

test('the table has a row for each fault', () => {
  const lines = tableOf([figuresFrom(kill, [seen(10, 30)], 0, { ...noViolations(), lost: 3 })]).split('\n');
  assert.equal(lines.length, 3);
  assert.match(lines[2]!, /^\| kill +\| 1 of 1 +\| 1 +\| 7 +\| 10 \/ 10 \/ 10 \/ 10 +\| 30 \/ 30 \/ 30 +\| 3 /);
});
