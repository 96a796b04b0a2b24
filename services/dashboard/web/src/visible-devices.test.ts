import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { VisibleDevices } from './visible-devices.ts';

function setUp() {
  const clock = createFakeClock();
  const held = new Set<string>();
  const gone: string[] = [];
  let changes = 0;
  const visible = new VisibleDevices({
    subscribe(path) {
      changes++;
      held.add(path);
      return {
        unsubscribe() {
          changes++;
          held.delete(path);
        },
      };
    },
    onGone: (path) => gone.push(path),
    now: () => clock.monotonic(),
    after: (ms, call) => clock.after(ms, call),
  });
  return { clock, held, gone, visible, changes: () => changes };
}

const rows = (from: number, count = 20) => Array.from({ length: count }, (_, n) => `d${from + n}`);

test('visible devices are subscribed to, and hidden ones are unsubscribed from a moment later', async () => {
  const { clock, held, gone, visible } = setUp();
  visible.show(rows(0));
  assert.equal(held.size, 0, 'not while it scrolls');
  await clock.advance(200);
  assert.deepEqual([...held], rows(0));
  visible.show(rows(10));
  await clock.advance(200);
  assert.equal(held.size, 30, 'the hidden ones stay for a moment');
  await clock.advance(5000);
  assert.deepEqual([...held].sort(), rows(10).sort());
  assert.deepEqual(gone.sort(), rows(0, 10).sort());
});

test('a device that is visible again within a moment is not subscribed to again', async () => {
  const { clock, visible, changes } = setUp();
  for (let n = 0; n < 10; n++) {
    visible.show(rows(n % 2 === 0 ? 0 : 10));
    await clock.advance(1000);
  }
  assert.equal(changes(), 30);
});

test('however the user scrolls, subscriptions and messages stay within their limits', async () => {
  const { clock, held, visible, changes } = setUp();
  let most = 0;
  const seconds = 60;
  for (let n = 0; n < seconds * 20; n++) {
    visible.show(rows(n * 25));
    await clock.advance(50);
    most = Math.max(most, held.size);
  }
  assert.ok(most <= 270, `${most} subscribed`);
  assert.ok(changes() <= 2 * (300 + 15 * seconds), `${changes()} changes`);
  // The list stops, and its visible devices are subscribed to.
  visible.show(rows(7));
  await clock.advance(30_000);
  assert.deepEqual([...held].sort(), rows(7).sort());
  assert.equal(clock.pending(), 0);
});
