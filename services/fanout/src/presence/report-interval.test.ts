import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomFrom } from '../../test/cluster.ts';
import { ReportInterval } from '../channels/device.ts';

const limits = { staleFactor: 2.5, staleMsMin: 5_000, staleMsMax: 40 * 86_400_000 };
const startMs = 1_700_000_000_000;

/** Hears reports at these distances. Answers the rhythm, and how often a silence was longer than it allowed. */
function heard(intervalsMs: Iterable<number>): { reportInterval: ReportInterval; alarms: number } {
  const reportInterval = new ReportInterval();
  let atMs = startMs;
  let alarms = 0;
  reportInterval.heard(atMs);
  for (const intervalMs of intervalsMs) {
    const allowedMs = reportInterval.allowedMs(limits);
    if (allowedMs !== undefined && intervalMs > allowedMs) alarms++;
    atMs += intervalMs;
    reportInterval.heard(atMs);
  }
  return { reportInterval, alarms };
}

function* times<T>(count: number, of: () => T): Iterable<T> {
  for (let i = 0; i < count; i++) yield of();
}

test('a device that has spoken twice is not judged, one that has spoken three times is', () => {
  assert.equal(heard([60_000]).reportInterval.allowedMs(limits), undefined);
  assert.ok(heard([60_000, 60_000]).reportInterval.allowedMs(limits)! > 60_000);
});

test('a steady device may be silent for some of its intervals, whatever they are', () => {
  for (const intervalMs of [10_000, 60_000, 3_600_000, 30 * 86_400_000 * 0.4]) {
    const allowedMs = heard(times(100, () => intervalMs)).reportInterval.allowedMs(limits)!;
    assert.ok(allowedMs >= 2.5 * intervalMs && allowedMs < 2.7 * intervalMs, `${intervalMs}: ${allowedMs}`);
  }
});

test('a device that speaks ten times a second may be silent for the least that is allowed', () => {
  assert.equal(heard(times(200, () => 100)).reportInterval.allowedMs(limits), 5_000);
});

test('a device that speaks once a month is not overdue after 31 days', () => {
  const month = 30 * 86_400_000;
  const { reportInterval, alarms } = heard([month, month + 86_400_000, month - 2 * 86_400_000, month + 86_400_000]);
  assert.equal(alarms, 0);
  assert.ok(reportInterval.allowedMs(limits)! > month + 86_400_000);
});

test('jitter of half an interval never makes a device overdue', () => {
  const random = randomFrom(3);
  const { alarms, reportInterval } = heard(times(10_000, () => 60_000 * (0.5 + random())));
  assert.equal(alarms, 0);
  assert.ok(reportInterval.allowedMs(limits)! < 10 * 60_000, 'it would never be found silent');
});

test('a gateway that hands over fifty stored reports at one a second, once an hour, is not overdue between', () => {
  function* bursts() {
    for (let hour = 0; hour < 200; hour++) {
      yield 3_600_000;
      yield* times(50, () => 1_000);
    }
  }
  assert.ok(heard(bursts()).alarms <= 1, 'only before the second hour can it look like a change of rhythm');
});

test('a hundred reports at one moment are one utterance', () => {
  function* batches() {
    for (let i = 0; i < 50; i++) {
      yield 60_000;
      yield* times(100, () => 0);
    }
  }
  const { reportInterval, alarms } = heard(batches());
  assert.equal(alarms, 0);
  assert.ok(reportInterval.intervalMs > 59_000);
});

test('a device that was seen once a day and now speaks each second is soon judged by seconds', () => {
  const { reportInterval } = heard([86_400_000, 86_400_000, ...times(1_200, () => 1_000)]);
  assert.equal(reportInterval.allowedMs(limits), 5_000);
});

test('a device that was broken for a day is soon judged by seconds again', () => {
  const { reportInterval } = heard([...times(100, () => 1_000), 86_400_000, ...times(20, () => 1_000)]);
  assert.equal(reportInterval.allowedMs(limits), 5_000);
});

test('a device that spoke each second and now speaks once an hour is found silent some ten times, and then not any more', () => {
  const { alarms, reportInterval } = heard([...times(100, () => 1_000), ...times(100, () => 3_600_000)]);
  assert.ok(alarms > 0 && alarms <= 10, `${alarms}`);
  assert.ok(reportInterval.allowedMs(limits)! < 4 * 3_600_000);
});

test('reports that are read again change nothing', () => {
  const { reportInterval } = heard(times(20, () => 10_000));
  const allowedMs = reportInterval.allowedMs(limits);
  for (let i = 0; i <= 20; i++) reportInterval.heard(startMs + i * 10_000);
  assert.equal(reportInterval.allowedMs(limits), allowedMs);
  assert.equal(reportInterval.lastMs, startMs + 200_000);
});

test('a rhythm that another owner had learnt counts at once, and goes on being learnt', () => {
  const reportInterval = new ReportInterval();
  reportInterval.restore(60_000, startMs);
  const first = reportInterval.allowedMs(limits)!;
  assert.ok(first >= 60_000);
  for (let i = 1; i <= 50; i++) reportInterval.heard(startMs + i * 60_000);
  assert.ok(reportInterval.allowedMs(limits)! < first);
});

test('an older state does not take back what was heard since', () => {
  const reportInterval = new ReportInterval();
  for (let i = 0; i < 5; i++) reportInterval.heard(startMs + i * 60_000);
  reportInterval.restore(1_000, startMs);
  assert.equal(reportInterval.lastMs, startMs + 240_000);
  assert.equal(reportInterval.intervalMs, 60_000);
});
