import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Progress } from './progress.ts';

const epochMs = 1_700_000_000_000;

test('a partition is read up to the time of the last poll whose end was reached', () => {
  const progress = new Progress(250);
  assert.ok(!progress.isCurrent(0));
  progress.onLogEnd(1_000, epochMs, 10);
  progress.reach(9);
  assert.ok(!progress.isCurrent(1_000));
  // The partition grows: the end of the first poll is the one to reach.
  progress.onLogEnd(1_500, epochMs + 500, 20);
  progress.reach(10);
  assert.equal(progress.throughMs, 1_000);
  assert.ok(progress.isCurrent(3_000));
  assert.ok(!progress.isCurrent(3_001));
});

test('after a pause it is current since the first poll that was reached', () => {
  const progress = new Progress(250);
  for (let at = 1_000; at <= 5_000; at += 500) {
    progress.onLogEnd(at, epochMs + at, 0);
    progress.reach(0);
  }
  assert.equal(progress.sinceMs, 1_000);
  progress.onLogEnd(9_000, epochMs + 9_000, 0);
  progress.reach(0);
  assert.equal(progress.sinceMs, 9_000);
});

test('the watermark follows reports or else the clock; it never decreases, and is never ahead of the clock', () => {
  const progress = new Progress(250);
  progress.onReports(epochMs, epochMs + 100);
  assert.equal(progress.watermarkMs, epochMs - 250);
  progress.onReports(epochMs - 5_000, epochMs + 200);
  assert.equal(progress.watermarkMs, epochMs - 250);
  progress.onReports(epochMs + 86_400_000, epochMs + 300);
  assert.equal(progress.watermarkMs, epochMs + 50);
  progress.onLogEnd(1, epochMs + 1_000, 0);
  progress.reach(0);
  assert.equal(progress.watermarkMs, epochMs + 750);
});

test('when the clock of a node is set back, the watermark follows, here and where the owner sends it', () => {
  const hourMs = 3_600_000;
  const progress = new Progress(250);
  progress.onReports(epochMs, epochMs + hourMs);
  progress.onLogEnd(1, epochMs + hourMs, 0);
  progress.reach(0);
  assert.equal(progress.watermarkMs, epochMs + hourMs - 250);
  progress.onReports(epochMs + 1_000, epochMs + 1_000);
  assert.equal(progress.watermarkMs, epochMs + 750);
  progress.onLogEnd(2, epochMs - hourMs, 0);
  progress.reach(0);
  assert.equal(progress.watermarkMs, epochMs - hourMs - 250);

  const relayed = new Progress(250);
  relayed.onOwnerWatermark(epochMs + hourMs, epochMs);
  assert.equal(relayed.watermarkMs, epochMs - 250, 'no further than the clock here');
  relayed.onOwnerWatermark(0, epochMs);
  relayed.onOwnerWatermark(epochMs - 5_000, epochMs);
  assert.equal(relayed.watermarkMs, epochMs - 250);
  relayed.onOwnerWatermark(epochMs - hourMs, epochMs);
  assert.equal(relayed.watermarkMs, epochMs - hourMs);
});

test('the lag has the records of the last poll that are not processed, and the time since none was', () => {
  const progress = new Progress(250);
  assert.deepEqual([progress.lagRecords(0), progress.lagMs(1_000)], [0, 0]);
  progress.onLogEnd(1_000, epochMs, 10);
  progress.reach(4);
  assert.deepEqual([progress.lagRecords(4), progress.lagMs(1_700)], [6, 700]);
  progress.onLogEnd(2_000, epochMs + 1_000, 25);
  progress.reach(10);
  assert.deepEqual([progress.lagRecords(10), progress.lagMs(2_000)], [15, 1_000]);
  // The log is unavailable: everything known is read, and yet the lag grows.
  progress.reach(25);
  assert.deepEqual([progress.lagRecords(25), progress.lagMs(9_000)], [0, 8_000]);
  progress.restart(Number.NEGATIVE_INFINITY);
  assert.deepEqual([progress.lagRecords(25), progress.lagMs(9_000)], [0, 0]);
});
