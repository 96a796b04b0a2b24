import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { LoggedIds } from '../devices/log-lookback.ts';
import { LoggedReports, recentIdsMax } from './logged-reports.ts';

const noLookback = { isSuspect: false, idsOfAll: () => Promise.reject(new Error('expected no lookback')) };

test('an ID is known for at least one minute, and for at most two, also after a time without messages', async () => {
  const clock = createFakeClock();
  const logged = new LoggedReports(noLookback, clock);
  assert.equal(logged.readBack(), undefined);
  for (const waitMs of [0, 59_000, 1_000, 30_000, 250_000]) {
    await clock.advance(waitMs);
    const id = `after${waitMs}`;
    logged.add('plant1.a', id);
    assert.deepEqual(
      [logged.has('plant1.a', id), logged.has('plant1.b', id), logged.has('plant1.a', 'x')],
      [true, false, false],
    );
  }
  for (const idleMs of [0, 30_000, 59_999]) {
    const idle = new LoggedReports(noLookback, clock);
    await clock.advance(idleMs);
    idle.add('plant1.a', 'm');
    await clock.advance(59_999);
    assert.equal(idle.has('plant1.a', 'm'), true);
    await clock.advance(60_001);
    assert.equal(idle.has('plant1.a', 'm'), false);
  }
  for (const idleMs of [119_999, 120_000]) {
    const quiet = new LoggedReports(noLookback, clock);
    quiet.add('plant1.a', 'm');
    await clock.advance(idleMs);
    quiet.has('plant1.a', 'other');
    await clock.advance(120_000 - idleMs);
    assert.equal(quiet.has('plant1.a', 'm'), false, 'a device may use it again');
  }
});

test('at the limit the older IDs are forgotten', () => {
  const logged = new LoggedReports(noLookback, createFakeClock());
  for (let index = 0; index < 1.5 * recentIdsMax; index++) {
    logged.add('plant1.a', `m${index}`);
    assert.ok(logged.size <= recentIdsMax);
  }
  const known = [0, recentIdsMax / 2, recentIdsMax, 1.5 * recentIdsMax - 1].map((at) =>
    logged.has('plant1.a', `m${at}`),
  );
  assert.deepEqual(known, [false, true, true, true]);
});

test('what a killed process has left in the log is known as long as the lookback has it', async () => {
  const clock = createFakeClock();
  const found = { untilMs: 120_000, has: (_device: string, id: string) => id === 'left' } as unknown as LoggedIds;
  const logged = new LoggedReports({ isSuspect: true, idsOfAll: async () => found }, clock);
  await logged.readBack();
  assert.deepEqual([logged.has('plant1.a', 'left'), logged.has('plant1.a', 'new')], [true, false]);
  await clock.advance(120_000);
  assert.equal(logged.has('plant1.a', 'left'), false);
});
