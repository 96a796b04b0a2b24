import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { leaveSpanMs, leaveSpread } from './leave-spread.ts';

test('few sessions are closed in milliseconds, many over two seconds, and over leaveMs if that is longer', () => {
  assert.equal(leaveSpanMs(0, 0), 0);
  assert.equal(leaveSpanMs(2, 0), 20);
  assert.equal(leaveSpanMs(10_000, 0), 2_000);
  assert.equal(leaveSpanMs(2, 300), 300);
  assert.equal(leaveSpanMs(10_000, 4_000), 4_000);
});

test('sessions are closed evenly over the span, each once', async () => {
  const clock = createFakeClock();
  const startedAt = clock.monotonic();
  const closedAt: number[] = [];
  const sessions = Array.from({ length: 100 }, () => ({ leave: () => closedAt.push(clock.monotonic() - startedAt) }));
  const left = leaveSpread(sessions, 2_000, clock);
  await clock.advance(2_000);
  await left;
  const each = new Map<number, number>();
  for (const ms of closedAt) each.set(ms, (each.get(ms) ?? 0) + 1);
  assert.deepEqual(
    [...each],
    Array.from({ length: 20 }, (_, step) => [step * 100, 5]),
  );
});
