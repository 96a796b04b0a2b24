import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { WorkScheduler } from '../catch-up/work-scheduler.ts';
import type { Subscription } from '../channels/subscription.ts';
import { Cuts } from './cuts.ts';

test('when its last client leaves, a cut stops loading last values, and releases those it has loaded', () => {
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  let deferred: (() => void)[] = [];
  const scheduler = new WorkScheduler({
    clock,
    defer: (call) => deferred.push(call),
    limits: { backgroundShare: 0.5, queuedTasksMax: 10, userQueuedTasksMax: 10, catchUpBytesMax: 1_000 },
    stepsMax: 1,
  });
  const turn = () => {
    const calls = deferred;
    deferred = [];
    for (const call of calls) call();
  };
  let pages = 0;
  // Devices without end.
  const devices = Array.from({ length: 64 }, (_, i) => ({ path: `a.${i}`, lastValues: () => [] }));
  const index = {
    page: () => {
      pages++;
      return devices;
    },
  };
  const cuts = new Cuts({
    ...{ clock, alignWaitMs: 1_000, cutBytesMax: 1_000_000, next: () => 0, views: { send: () => {} } },
    partitions: [{ index, progress: { watermarkMs: 0 } }] as never,
  });
  const subscription = {
    channel: { pattern: 'a.>', partitions: [0] },
    view: { options: { align: 1_000 }, lastValues: () => [] },
    subscriber: { work: scheduler.queue('attacker') },
  } as unknown as Subscription;
  cuts.enter(subscription);
  for (let i = 0; i < 5; i++) turn();
  assert.ok(pages > 1 && scheduler.queued === 1, `${pages} pages`);
  cuts.leave(subscription);
  for (let i = 0; i < 5; i++) turn();
  assert.equal(scheduler.queued, 0);
  assert.equal(cuts.size, 0);
});
