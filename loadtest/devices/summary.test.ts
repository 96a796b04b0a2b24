import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DelayCounts } from './delay-counts.ts';
import { deviceSettingsFrom } from './settings.ts';
import { summaryOf } from './summary.ts';
import type { WorkerResult } from './worker.ts';

const env = { MQTT: 'mqtt://localhost:1883', TOKEN: 'eyJ', RUN: 'a', TARGET: 'ws://localhost:8081' };
const delays = new DelayCounts();
delays.add(12.3);
const good: WorkerResult = {
  ...{ sent: 10, acknowledged: 10, refused: {}, resent: 0, disconnects: 0 },
  ...{ delivered: 10, missing: 0, doubled: 0, disordered: 0, skipped: 0 },
  ...{ ackDelays: delays.toJson(), sentDelays: delays.toJson(), timerDelays: delays.toJson() },
};

test('a lost, doubled, disordered or unacknowledged report, and a late acknowledgment, fail an objective', () => {
  const of = (result: Partial<WorkerResult>, slo = '250') =>
    summaryOf(deviceSettingsFrom({ ...env, SLO_ACK_MS: slo }, 0), { ...good, ...result });
  assert.equal(of({}).isMet, true);
  assert.match(of({}).text, /p99 12\.3 ms/);
  assert.match(of({ missing: 2 }).text, /lost +0 +2 +NOT MET/);
  // The subscriber was notified of them.
  assert.equal(of({ missing: 2, skipped: 2 }).isMet, true);
  for (const result of [
    { missing: 1 },
    { doubled: 1 },
    { disordered: 1 },
    { acknowledged: 9 },
    { refused: { not_sent: 1 } },
  ])
    assert.equal(of(result).isMet, false, JSON.stringify(result));
  assert.match(of({ acknowledged: 7, refused: { rate_limited: 2 } }).text, /without an answer +1$/m);
  assert.equal(of({}, '12').isMet, false);
});

test('without TARGET the summary notes that deliveries are not checked', () => {
  const { text, isMet } = summaryOf(deviceSettingsFrom({ ...env, TARGET: '' }, 0), good);
  assert.equal(isMet, true);
  assert.match(text, /Deliveries are not checked/);
  assert.doesNotMatch(text, /^ {2}lost /m);
});
