import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { Pressure } from './pressure.ts';

/** A pressure whose held bytes and oldest message the test sets, with a check every 100 ms. */
function setUp() {
  const clock = createFakeClock();
  const changes: string[] = [];
  const waiting = { heldBytes: 0, oldestMs: 0 };
  const pressure = new Pressure({ clock, heldBytes: () => waiting.heldBytes, heldBytesMax: 800 });
  pressure.onChange = (state) => void changes.push(state);
  clock.every(100, () => pressure.check(waiting.oldestMs));
  return { clock, changes, waiting, pressure };
}

test('many held bytes make it slow, and it is open again after a second below three eighths', async () => {
  const { clock, changes, waiting } = setUp();
  waiting.heldBytes = 400;
  await clock.advance(100);
  assert.deepEqual(changes, [], 'half of the limit');
  waiting.heldBytes = 401;
  await clock.advance(100);
  assert.deepEqual(changes, ['slow']);
  waiting.heldBytes = 301;
  await clock.advance(5_000);
  waiting.heldBytes = 300;
  await clock.advance(900);
  waiting.heldBytes = 301;
  await clock.advance(100);
  waiting.heldBytes = 300;
  await clock.advance(1_000);
  assert.deepEqual(changes, ['slow'], 'a second counts from the last time above');
  await clock.advance(100);
  assert.deepEqual(changes, ['slow', 'open']);
});

test('a message that waits for a second makes it slow, and it is open again after a second below half a second', async () => {
  const { clock, changes, waiting } = setUp();
  waiting.oldestMs = 1_000;
  await clock.advance(100);
  assert.deepEqual(changes, []);
  waiting.oldestMs = 1_001;
  await clock.advance(100);
  waiting.oldestMs = 501;
  await clock.advance(3_000);
  assert.deepEqual(changes, ['slow']);
  waiting.oldestMs = 500;
  await clock.advance(1_100);
  assert.deepEqual(changes, ['slow', 'open']);
});

test('a message that waits for five seconds makes it away, and the first confirmed one leaves that', async () => {
  const { clock, changes, waiting, pressure } = setUp();
  waiting.oldestMs = 5_000;
  await clock.advance(100);
  assert.deepEqual(changes, ['away']);
  pressure.confirmed();
  assert.deepEqual(changes, ['away', 'slow'], 'the others still wait');
  waiting.oldestMs = 0;
  await clock.advance(1_100);
  assert.deepEqual(changes, ['away', 'slow', 'open']);
});

test('a partition without a leader, beside others that confirm, is slow and not away', async () => {
  const { clock, changes, waiting, pressure } = setUp();
  for (let second = 0; second < 30; second++) {
    waiting.oldestMs = Math.min(10_000, second * 1_000);
    pressure.failed();
    pressure.confirmed();
    await clock.advance(1_000);
  }
  assert.deepEqual(changes, ['slow']);
});

test('it is away when every message of two seconds has failed', async () => {
  const { clock, changes, pressure } = setUp();
  pressure.failed();
  await clock.advance(1_900);
  assert.deepEqual(changes, []);
  pressure.failed();
  await clock.advance(100);
  assert.deepEqual(changes, ['away']);
  pressure.confirmed();
  assert.deepEqual(changes, ['away', 'open']);
  pressure.failed();
  await clock.advance(10_000);
  assert.deepEqual(changes, ['away', 'open'], 'a single failure, and no message after it');
});

test('without messages it does not stay away', async () => {
  const { clock, changes, pressure } = setUp();
  pressure.failed();
  await clock.advance(1_900);
  pressure.failed();
  await clock.advance(100);
  assert.deepEqual(changes, ['away']);
  await clock.advance(4_700);
  pressure.failed();
  await clock.advance(4_900);
  assert.deepEqual(changes, ['away'], 'a probe has failed meanwhile');
  await clock.advance(100);
  assert.deepEqual(changes, ['away', 'open']);
});

test('it is away at once when what it was given two seconds ago has failed, and nothing was confirmed since', async () => {
  const { clock, changes, pressure } = setUp();
  await clock.advance(10_000);
  pressure.failed(clock.monotonic() - 1_999);
  assert.deepEqual(changes, []);
  pressure.failed(clock.monotonic() - 2_000);
  assert.deepEqual(changes, ['away']);
});

test('while it is away one request in 250 ms is admitted', async () => {
  const { clock, pressure } = setUp();
  assert.deepEqual([pressure.admits(), pressure.admits()], [true, true]);
  pressure.failed(clock.monotonic() - 2_000);
  assert.deepEqual([pressure.admits(), pressure.admits()], [true, false]);
  await clock.advance(249);
  assert.equal(pressure.admits(), false);
  await clock.advance(1);
  assert.deepEqual([pressure.admits(), pressure.admits()], [true, false]);
  pressure.confirmed();
  assert.deepEqual([pressure.admits(), pressure.admits()], [true, true]);
});

test('it checks itself while it is not open, and has no timer otherwise', async () => {
  const clock = createFakeClock();
  const pressure = new Pressure({ clock, heldBytes: () => 0, heldBytesMax: 800 });
  pressure.failed(clock.monotonic() - 2_000);
  assert.equal(pressure.state, 'away');
  await clock.advance(5_000);
  assert.equal(pressure.state, 'open');
  assert.equal(clock.pending(), 0);
});
