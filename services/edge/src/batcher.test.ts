import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Report } from '@tailrace/protocol/report';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { Batcher } from './batcher.ts';

function start() {
  const clock = createFakeClock();
  const reports: Omit<Report, 'id'>[] = [];
  const batcher = new Batcher({ batchMs: 200, put: (report) => reports.push(report), clock });
  const add = (device: string, value: number | string, time: number, isUrgent = false) =>
    batcher.add(device, { tag: 't', value, time }, isUrgent);
  return { clock, reports, batcher, add };
}

test('readings of a device within the batch time are one report, in their order and with their times', async () => {
  const { clock, reports, add } = start();
  add('p.a', 1, 1_000.25);
  add('p.b', 2, 1_001);
  add('p.a', 3, 1_000.5);
  add('p.a', 4, 1_000.5);
  await clock.advance(199);
  assert.deepEqual(reports, []);
  await clock.advance(1);
  assert.deepEqual(reports, [
    {
      device: 'p.a',
      time: 1_000.5,
      readings: [
        { tag: 't', value: 1, time: 1_000.25 },
        { tag: 't', value: 3 },
        { tag: 't', value: 4 },
      ],
    },
    { device: 'p.b', time: 1_001, readings: [{ tag: 't', value: 2 }] },
  ]);
  await clock.advance(1_000);
  assert.equal(reports.length, 2);
  assert.equal(clock.pending(), 0);
});

test('an urgent reading is sent at once, after what waits of its device', async () => {
  const { clock, reports, add } = start();
  add('p.a', 1, 1);
  add('p.b', 2, 2);
  add('p.a', 3, 3, true);
  assert.deepEqual(
    reports.map(({ device, readings }) => [device, readings.length]),
    [['p.a', 2]],
  );
  await clock.advance(200);
  assert.equal(reports.length, 2);
});

test('a device whose readings are all urgent does not wait, however many they are', () => {
  const { reports, batcher, add } = start();
  for (let n = 0; n < 1_000; n++) add('p.a', n, n, true);
  assert.deepEqual([reports.length, batcher.devices], [1_000, 0]);
});

test('a report has at most 1,000 readings, and fits the limit of a report in bytes', async () => {
  const { clock, reports, add } = start();
  for (let n = 0; n < 2_500; n++) add('p.a', n, n);
  await clock.advance(200);
  assert.deepEqual(
    reports.map(({ readings }) => readings.length),
    [1_000, 1_000, 500],
  );
  reports.length = 0;
  for (let n = 0; n < 100; n++) add('p.a', '€'.repeat(4_096), n);
  await clock.advance(200);
  assert.ok(reports.length >= 20);
  for (const report of reports) encodeReport({ ...report, id: 'x' });
  assert.equal(
    reports.reduce((sum, { readings }) => sum + readings.length, 0),
    100,
  );
});
