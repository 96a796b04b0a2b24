import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Checker, noViolations, type Publication, type Verdict } from './checker.ts';

const device = 'chaos.line0.cell0.machine1';
const at = (value: number, seq: number, of = device): Publication => ({ device: of, partition: 3, seq, value });

interface Run {
  readonly shown: readonly Publication[];
  readonly channel?: string;
  readonly devices?: readonly string[];
  /** Ranges named after so many reports. */
  readonly missing?: {
    readonly after: number;
    readonly from: number;
    readonly to: number;
    readonly partition?: number;
  };
  /** Last values, by device. */
  readonly acknowledged?: Readonly<Record<string, number>>;
  readonly sent?: Readonly<Record<string, number>>;
}

function verdictOf(run: Run): Verdict {
  const { shown, channel = device, devices = [device], missing } = run;
  const checker = new Checker();
  const watch = checker.watch('client 1', channel, devices);
  for (const [i, report] of shown.entries()) {
    if (i === missing?.after) watch.missing([{ partition: 3, ...missing }]);
    watch.shown(report, i);
  }
  const last = shown.reduce((most, { value }) => Math.max(most, value), 0);
  const acknowledged = new Map(Object.entries(run.acknowledged ?? { [device]: last }));
  checker.end(acknowledged, run.sent === undefined ? acknowledged : new Map(Object.entries(run.sent)));
  return checker.verdict;
}

test('each report from the first on, once, in order, finds nothing', () => {
  assert.deepEqual(verdictOf({ shown: [at(7, 10), at(8, 14), at(9, 15)] }), noViolations());
});

test('a report without a counter is invalid, and those after it are still checked', () => {
  const shown = [at(1, 10), at(Number.NaN, 11), at(4, 12)];
  assert.deepEqual(verdictOf({ shown, acknowledged: { [device]: 4 } }), { ...noViolations(), invalid: 1, lost: 2 });
});

test('each report left out is lost', () => {
  assert.deepEqual(verdictOf({ shown: [at(1, 10), at(4, 14)] }), { ...noViolations(), lost: 2 });
});

test('an acknowledged report that the client has not received at the end is lost', () => {
  assert.equal(verdictOf({ shown: [at(1, 10)], acknowledged: { [device]: 3 } }).lost, 2);
  assert.equal(verdictOf({ shown: [], acknowledged: { [device]: 1 } }).lost, 1, 'also without any report');
});

test('a report that was sent and not acknowledged may be delivered, or not', () => {
  const run = { acknowledged: { [device]: 1 }, sent: { [device]: 2 } };
  assert.deepEqual(verdictOf({ shown: [at(1, 10)], ...run }), noViolations());
  assert.deepEqual(verdictOf({ shown: [at(1, 10), at(2, 11)], ...run }), noViolations());
});

test('a report delivered twice is doubled, at its own position and at another, at once and later', () => {
  assert.deepEqual(verdictOf({ shown: [at(1, 10), at(1, 10)] }), { ...noViolations(), doubled: 1 });
  assert.deepEqual(verdictOf({ shown: [at(1, 10), at(2, 11), at(1, 12)] }), { ...noViolations(), doubled: 1 });
});

test('a report that comes after a later one is disordered, and not lost', () => {
  assert.deepEqual(verdictOf({ shown: [at(1, 10), at(3, 12), at(2, 11)] }), { ...noViolations(), disordered: 1 });
});

test('a position that does not grow is disordered, though the values are in order', () => {
  assert.deepEqual(verdictOf({ shown: [at(1, 10), at(2, 9)] }), { ...noViolations(), disordered: 1 });
});

test('a report of a device that the subscription does not cover is invalid', () => {
  const other = 'chaos.line0.cell1.machine5';
  assert.deepEqual(verdictOf({ shown: [at(1, 10), at(1, 11, other)] }), { ...noViolations(), invalid: 1 });
});

test('a counter that no device has sent is invalid', () => {
  const shown = [at(1, 10), at(2, 11)];
  assert.equal(verdictOf({ shown, acknowledged: { [device]: 1 }, sent: { [device]: 1 } }).invalid, 1);
});

test('a gap in a missing range is named; one elsewhere is a loss', () => {
  const shown = [at(1, 10), at(4, 20)];
  assert.deepEqual(verdictOf({ shown, missing: { after: 1, from: 11, to: 19 } }), { ...noViolations(), named: 2 });
  assert.equal(verdictOf({ shown, missing: { after: 1, from: 21, to: 30 } }).lost, 2, 'later positions');
  assert.equal(verdictOf({ shown, missing: { after: 1, from: 1, to: 10 } }).lost, 2, 'earlier positions');
  assert.equal(
    verdictOf({ shown, missing: { after: 1, from: 11, to: 19, partition: 4 } }).lost,
    2,
    'another partition',
  );
});

test('devices of a subtree are checked separately', () => {
  const other = 'chaos.line0.cell0.machine2';
  const channel = 'chaos.line0.cell0.>';
  const verdict = verdictOf({
    channel,
    devices: [device, other],
    shown: [at(1, 10), at(5, 11, other), at(2, 12), at(7, 13, other)],
    acknowledged: { [device]: 2, [other]: 7 },
  });
  assert.deepEqual(verdict, { ...noViolations(), lost: 1 });
});

test('the longest pause is the one between two reports of one device since `measure`', () => {
  const watch = new Checker().watch('client 1', device, [device]);
  watch.shown(at(1, 10), 0);
  watch.shown(at(2, 11), 5_000);
  watch.measure();
  assert.equal(watch.longestMs, 0);
  watch.shown(at(3, 12), 6_000);
  watch.shown(at(4, 13), 8_500);
  watch.shown(at(5, 14), 9_000);
  assert.equal(watch.longestMs, 2_500);
});
