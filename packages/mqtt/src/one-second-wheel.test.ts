import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { SecondWheel, type Timed } from './one-second-wheel.ts';

function fixture() {
  const clock = createFakeClock();
  const wheel = new SecondWheel(clock);
  wheel.start();
  /** Items note the second of each check, and are due at `dueMs`. */
  const item = (dueMs: number): Timed & { checks: number[]; dueMs: number; fired: number | undefined } => ({
    wheelSecond: 0,
    checks: [],
    dueMs,
    fired: undefined,
    due(nowMs) {
      this.checks.push(nowMs / 1000);
      if (nowMs < this.dueMs) return this.dueMs;
      this.fired = nowMs / 1000;
      return 0;
    },
  });
  return { clock, wheel, item };
}

test('checks an item once, in the second after it is due', async () => {
  const { clock, wheel, item } = fixture();
  const soon = item(2500);
  wheel.schedule(soon, soon.dueMs);
  await clock.advance(2999);
  assert.deepEqual(soon.checks, []);
  await clock.advance(100_000);
  assert.deepEqual([soon.checks, soon.fired], [[3], 3]);
});

test('an item that is due later than the wheel reaches is checked on the way', async () => {
  const { clock, wheel, item } = fixture();
  const late = item(150_000);
  wheel.schedule(late, late.dueMs);
  await clock.advance(200_000);
  assert.equal(late.fired, 151);
  assert.ok(late.checks.length <= 3);
});

test('an item that becomes due later is not moved, and one that becomes due earlier is', async () => {
  const { clock, wheel, item } = fixture();
  const later = item(5000);
  const earlier = item(50_000);
  wheel.schedule(later, 5000);
  wheel.schedule(earlier, 50_000);
  later.dueMs = 20_000;
  earlier.dueMs = 4000;
  wheel.schedule(earlier, 4000);
  await clock.advance(60_000);
  assert.deepEqual([later.fired, earlier.fired], [21, 5]);
  assert.deepEqual(earlier.checks, [5]);
});

test('a cancelled item is not checked', async () => {
  const { clock, wheel, item } = fixture();
  const cancelled = item(5000);
  wheel.schedule(cancelled, 5000);
  wheel.cancel(cancelled);
  await clock.advance(60_000);
  assert.deepEqual(cancelled.checks, []);
});

test('after a pause of the process every second is checked', () => {
  const clock = createFakeClock();
  let nowMs = 0;
  const wheel = new SecondWheel({ monotonic: () => nowMs, every: clock.every });
  const { item } = fixture();
  const items = [3000, 40_000, 90_000].map(item);
  for (const each of items) wheel.schedule(each, each.dueMs);
  nowMs = 100_000;
  wheel.tick();
  assert.deepEqual(
    items.map(({ fired }) => fired),
    [100, 100, 100],
  );
});
