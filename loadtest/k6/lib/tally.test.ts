import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPositions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import type { MissingRange } from './data-frame.ts';
import { Tally } from './tally.ts';

/**
 * A tally of two devices, at 1,000 ms by the servers' clock. A report is [device, seq, n]; both devices are in
 * partition 3.
 */
function tallyOf(...frames: (readonly (readonly [device: number, seq: number, n: number])[])[]): Tally {
  const tally = new Tally('client', 2, () => 1000);
  tally.start(tokenFromPositions(createPositions('e', [[3, 0]])));
  for (const frame of frames) show(tally, frame);
  return tally;
}

function show(
  tally: Tally,
  reports: readonly (readonly [device: number, seq: number, n: number])[],
  { snapshot = false, named = [] }: { snapshot?: boolean; named?: readonly MissingRange[] } = {},
): void {
  tally.frame(snapshot, named);
  for (const [device, seq, n] of reports) tally.report(device, 3, seq, n, 990);
}

const range = (from: number, to: number, reason = 'retention', device?: number): MissingRange => ({
  partition: 3,
  device,
  from,
  to,
  reason,
});
test('within an epoch a position only grows; another epoch starts with its own', () => {
  const tally = tallyOf([[0, 10, 1]]);
  tally.start(tokenFromPositions(createPositions('e', [[3, 5]])));
  assert.equal(lastOf(tally), 10);
  tally.start(tokenFromPositions(createPositions('e', [[3, 20]])));
  assert.equal(lastOf(tally), 20);
  tally.start(tokenFromPositions(createPositions('f', [[3, 2]])));
  assert.equal(lastOf(tally), 2);
  assert.equal(new Tally('client', 2, () => 0).token, undefined);
});

const lastOf = (tally: Tally) => positionsFromToken(tally.token).last(3);

test('reports in order are counted, to the last of each device', () => {
  const tally = tallyOf([[0, 1, 1]], [[1, 2, 1]], [[0, 3, 2]], [[1, 5, 2]], [[0, 9, -3]], [[1, 11, -3]]);
  assert.deepEqual(
    { ...tally.counts },
    { reports: 6, frames: 6, repeats: 0, named: 0, finished: 2, gaps: 0, duplicates: 0, invalid: 0 },
  );
  assert.equal(tally.isComplete, true);
  assert.equal(tally.worstLatencyMs, 10);
  assert.equal(lastOf(tally), 11);
});

test('a counter that skips is a gap, however positions go on, also before the last one', () => {
  assert.equal(tallyOf([[0, 1, 1]], [[0, 2, 3]]).counts.gaps, 1);
  assert.equal(tallyOf([[0, 1, 1]], [[0, 2, -5]]).counts.gaps, 3);
  assert.match(tallyOf([[0, 1, 1]], [[0, 2, 3]]).firstError, /device 0 of the channel: got 3 at 3:2 after 1 at 3:1/);
});

test('the first report of a device is its first, unless a last value came before', () => {
  assert.equal(tallyOf([[0, 70, 2]]).counts.gaps, 1);
  const tally = tallyOf();
  show(tally, [[0, 70, 41]], { snapshot: true });
  show(tally, [[0, 71, 42]]);
  assert.equal(tally.counts.gaps, 0);
});

test('last values are where a device starts, and are no reports', () => {
  const tally = tallyOf();
  show(tally, [[0, 7, 4]], { snapshot: true });
  show(tally, [[0, 8, 5]]);
  show(tally, [[0, 10, 7]]);
  assert.equal(tally.counts.reports, 2);
  assert.equal(tally.counts.gaps, 1);
});

test('a report that is not newer is a repeat; a counter that comes again at a newer position is a duplicate', () => {
  const tally = tallyOf([[0, 1, 1]], [[0, 2, 2]], [[0, 1, 1]], [[0, 2, 2]]);
  assert.deepEqual([tally.counts.repeats, tally.counts.duplicates, tally.counts.reports], [2, 0, 2]);
  show(tally, [[0, 3, 2]]);
  assert.equal(tally.counts.duplicates, 1);
});

test('a gap in a missing range is named; one elsewhere is a gap', () => {
  const tally = tallyOf([[0, 1, 1]]);
  tally.addMissing([range(2, 3)]);
  show(tally, [[0, 4, 4]]);
  assert.deepEqual([tally.counts.named, tally.counts.gaps], [2, 0]);
  show(tally, [[0, 9, 6]], { named: [{ ...range(5, 8), partition: 4 }] });
  assert.deepEqual([tally.counts.named, tally.counts.gaps], [2, 1]);
});

test('a range of one device excuses no gap of another', () => {
  const tally = tallyOf([[0, 1, 1]], [[1, 2, 1]]);
  show(tally, [[0, 50, 20]], { named: [range(3, 49, 'slow', 0)] });
  show(tally, [[1, 51, 21]]);
  assert.deepEqual([tally.counts.named, tally.counts.gaps], [18, 19]);
});

test('reports of devices that the channel does not cover, and without a counter, are counted', () => {
  const tally = tallyOf([[-1, 1, 1]], [[0, 2, Number.NaN]]);
  assert.equal(tally.counts.invalid, 2);
});

test('the position of a slow reader stays until a device is live again', () => {
  const tally = tallyOf([[0, 1, 1]], [[1, 2, 1]]);
  show(tally, [[0, 50, 20]], { named: [range(3, 49, 'slow', 0)] });
  assert.equal(lastOf(tally), 2);
  show(tally, [[1, 51, 21]], { named: [range(3, 48, 'slow', 1)] });
  assert.equal(lastOf(tally), 2);
  show(tally, [[0, 52, 21]]);
  assert.equal(lastOf(tally), 52);
  assert.deepEqual([tally.counts.gaps, tally.counts.named], [0, 18 + 19]);
});

test('in a new epoch positions start again, and counters go on', () => {
  const tally = tallyOf([[0, 100, 1]]);
  tally.start(tokenFromPositions(createPositions('f', [[3, -1]])));
  show(tally, [[0, 0, 2]]);
  assert.deepEqual([tally.counts.reports, tally.counts.gaps, tally.counts.repeats], [2, 0, 0]);
  assert.equal(lastOf(tally), 0);
});
