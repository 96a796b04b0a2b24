import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics } from '@tailrace/platform/metrics';
import { createIngestMetrics } from '../metrics.ts';
import { createIntakeObserver, registerIntakeMetrics } from './intake-metrics.ts';
import type { PressureState } from './pressure.ts';

test('the metrics of an intake have its limit, its use, the pressure and the calls of the log', async () => {
  const metrics = createMetrics({ service: 'ingest', node: 'test', processMetrics: false });
  const intake = { unsettled: 3, heldBytes: 30 };
  const pressure: { state: PressureState } = { state: 'away' };
  const observer = createIntakeObserver(metrics, createIngestMetrics(metrics).appendSeconds);
  registerIntakeMetrics(metrics, intake, pressure, 100);
  observer.appended(2_000);
  observer.settled(0.5);
  const text = await metrics.text();
  for (const [name, value] of [
    ['unsettled_messages', 3],
    ['limit_unsettled_messages', 100],
    ['unsettled_bytes', 30],
    ['pressure_levels', 2],
    ['intake_batch_messages_sum', 2_000],
    ['append_duration_seconds_sum', 0.5],
  ] as const)
    assert.match(text, new RegExp(`^tailrace_ingest_${name}{[^}]*} ${value}$`, 'm'));
});
