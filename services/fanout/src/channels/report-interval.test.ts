import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomFrom } from '../../test/cluster.ts';
import { ReportInterval } from './device.ts';

const limits = { staleFactor: 2.5, staleMsMin: 5_000, staleMsMax: 40 * 86_400_000 };
const startMs = 1_700_000_000_000;

/** Adds reports at these intervals. Returns the estimate, and how often an interval was longer than it allowed. */
function intervalOf(intervalsMs: Iterable<number>): { reportInterval: ReportInterval; alarms: number } {
  const reportInterval = new ReportInterval();
  let atMs = startMs;
  let alarms = 0;
  reportInterval.add(atMs);
  for (const intervalMs of intervalsMs) {
    const allowedMs = reportInterval.allowedMs(limits);
    if (allowedMs !== undefined && intervalMs > allowedMs) alarms++;
    atMs += intervalMs;
    reportInterval.add(atMs);
  }
  return { reportInterval, alarms };
}

function* times<T>(count: number, of: () => T): Iterable<T> {
  for (let i = 0; i < count; i++) yield of();
}

test('a device with two reports is not checked, one with three is', () => {
  assert.equal(intervalOf([60_000]).reportInterval.allowedMs(limits), undefined);
  assert.ok(intervalOf([60_000, 60_000]).reportInterval.allowedMs(limits)! > 60_000);
});

test('a steady device may be idle for a few intervals, whatever their length', () => {
  for (const intervalMs of [10_000, 60_000, 3_600_000, 30 * 86_400_000 * 0.4]) {
    const allowedMs = intervalOf(times(100, () => intervalMs)).reportInterval.allowedMs(limits)!;
    assert.ok(allowedMs >= 2.5 * intervalMs && allowedMs < 2.7 * intervalMs, `${intervalMs}: ${allowedMs}`);
  }
});

test('a device that reports ten times a second may be idle for the minimum', () => {
  assert.equal(intervalOf(times(200, () => 100)).reportInterval.allowedMs(limits), 5_000);
});

test('a device that reports once a month is not overdue after 31 days', () => {
  const month = 30 * 86_400_000;
  const { reportInterval, alarms } = intervalOf([
    month,
    month + 86_400_000,
    month - 2 * 86_400_000,
    month + 86_400_000,
  ]);
  assert.equal(alarms, 0);
  assert.ok(reportInterval.allowedMs(limits)! > month + 86_400_000);
});

test('jitter of half an interval never makes a device overdue', () => {
  const random = randomFrom(3);
  const { alarms, reportInterval } = intervalOf(times(10_000, () => 60_000 * (0.5 + random())));
  assert.equal(alarms, 0);
  assert.ok(reportInterval.allowedMs(limits)! < 10 * 60_000, 'it would never be found idle');
});

test('a gateway that sends fifty stored reports at one a second, once an hour, is not overdue in between', () => {
  function* bursts() {
    for (let hour = 0; hour < 200; hour++) {
      yield 3_600_000;
      yield* times(50, () => 1_000);
    }
  }
  assert.ok(
    intervalOf(bursts()).alarms <= 1,
    'only before the second hour it may be taken for a change of the interval',
  );
});

test('a hundred reports at one time are one burst', () => {
  function* batches() {
    for (let i = 0; i < 50; i++) {
      yield 60_000;
      yield* times(100, () => 0);
    }
  }
  const { reportInterval, alarms } = intervalOf(batches());
  assert.equal(alarms, 0);
  assert.ok(reportInterval.intervalMs > 59_000);
});

test('a device that reported once a day and now reports every second is soon checked by seconds', () => {
  const { reportInterval } = intervalOf([86_400_000, 86_400_000, ...times(1_200, () => 1_000)]);
  assert.equal(reportInterval.allowedMs(limits), 5_000);
});

test('a device that was broken for a day is soon checked by seconds again', () => {
  const { reportInterval } = intervalOf([...times(100, () => 1_000), 86_400_000, ...times(20, () => 1_000)]);
  assert.equal(reportInterval.allowedMs(limits), 5_000);
});

test('a device that reported every second and now reports once an hour is found idle at most ten times', () => {
  const { alarms, reportInterval } = intervalOf([...times(100, () => 1_000), ...times(100, () => 3_600_000)]);
  assert.ok(alarms > 0 && alarms <= 10, `${alarms}`);
  assert.ok(reportInterval.allowedMs(limits)! < 4 * 3_600_000);
});

test('reports that are read again change nothing', () => {
  const { reportInterval } = intervalOf(times(20, () => 10_000));
  const allowedMs = reportInterval.allowedMs(limits);
  for (let i = 0; i <= 20; i++) reportInterval.add(startMs + i * 10_000);
  assert.equal(reportInterval.allowedMs(limits), allowedMs);
  assert.equal(reportInterval.lastMs, startMs + 200_000);
});

test('a report interval that a previous owner measured is used at once, and adapts', () => {
  const reportInterval = new ReportInterval();
  reportInterval.restore(60_000, startMs);
  const first = reportInterval.allowedMs(limits)!;
  assert.ok(first >= 60_000);
  for (let i = 1; i <= 50; i++) reportInterval.add(startMs + i * 60_000);
  assert.ok(reportInterval.allowedMs(limits)! < first);
});

test('an older state does not replace what was measured since', () => {
  const reportInterval = new ReportInterval();
  for (let i = 0; i < 5; i++) reportInterval.add(startMs + i * 60_000);
  reportInterval.restore(1_000, startMs);
  assert.equal(reportInterval.lastMs, startMs + 240_000);
  assert.equal(reportInterval.intervalMs, 60_000);
});
