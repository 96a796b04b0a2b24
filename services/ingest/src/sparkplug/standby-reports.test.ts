import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PendingReport, ReportOrigin } from './pending-report.ts';
import { StandbyReports, standbyBytesMax, standbyMs } from './standby-reports.ts';

const originOf = (node: string): ReportOrigin => ({
  ...{ group: 'g', node, tenant: 'plant1', append() {}, requested() {}, settled() {} },
});
const [a, b] = [originOf('a'), originOf('b')];

const reportOf = (origin: ReportOrigin, id: string, length = 10): PendingReport => ({
  ...{ id, origin, readings: 1, isClockAhead: false, session: undefined, receipt: undefined, traceparent: '' },
  from: { settle() {}, flush() {} },
  record: { key: 'd', value: new Uint8Array(length) },
});
const idsOf = (reports: readonly PendingReport[]) => reports.map(({ id }) => id);

test('the reports of some nodes are taken in their order, and the others stay', () => {
  const standby = new StandbyReports();
  for (const [index, origin] of [a, b, a, b].entries()) standby.add(reportOf(origin, `${index}`), index);
  assert.deepEqual(idsOf(standby.take(({ origin }) => origin === a, 10)), ['0', '2']);
  assert.deepEqual(idsOf(standby.take(() => true, 10)), ['1', '3']);
  assert.deepEqual([standby.size, standby.bytes], [0, 0]);
});

test('reports expire after ten seconds, and the oldest is dropped at the limit of bytes', () => {
  const standby = new StandbyReports();
  for (let index = 0; index < 100; index++) standby.add(reportOf(a, `${index}`), index * 1_000);
  standby.expire(99_000);
  assert.equal(standby.size, standbyMs / 1_000 + 1);
  assert.equal(standby.dropped, 0);
  standby.add(reportOf(a, 'large', standbyBytesMax - 500), 99_000);
  assert.ok(standby.bytes <= standbyBytesMax);
  assert.equal(standby.dropped, 10);
  assert.deepEqual(idsOf(standby.take(() => true, 99_000)), ['99', 'large']);
});
