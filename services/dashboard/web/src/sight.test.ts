import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import { Sight } from './sight.ts';

function setUp() {
  const clock = createFakeClock();
  const held = new Set<string>();
  const gone: string[] = [];
  let changes = 0;
  const sight = new Sight({
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
  return { clock, held, gone, sight, changes: () => changes };
}

const rows = (from: number, count = 20) => Array.from({ length: count }, (_, n) => `d${from + n}`);

test('what is in sight is subscribed to, and what has left it is given up a moment later', async () => {
  const { clock, held, gone, sight } = setUp();
  sight.show(rows(0));
  assert.equal(held.size, 0, 'not before it stands still');
  await clock.advance(200);
  assert.deepEqual([...held], rows(0));
  sight.show(rows(10));
  await clock.advance(200);
  assert.equal(held.size, 30, 'what has just left lingers');
  await clock.advance(5000);
  assert.deepEqual([...held].sort(), rows(10).sort());
  assert.deepEqual(gone.sort(), rows(0, 10).sort());
});

test('what comes back within a moment is not asked for again', async () => {
  const { clock, sight, changes } = setUp();
  for (let n = 0; n < 10; n++) {
    sight.show(rows(n % 2 === 0 ? 0 : 10));
    await clock.advance(1000);
  }
  assert.equal(changes(), 30);
});

test('however one scrolls, no more is held than a bound, and no more is changed than the server takes', async () => {
  const { clock, held, sight, changes } = setUp();
  let most = 0;
  const seconds = 60;
  for (let n = 0; n < seconds * 20; n++) {
    sight.show(rows(n * 25));
    await clock.advance(50);
    most = Math.max(most, held.size);
  }
  assert.ok(most <= 270, `${most} held`);
  assert.ok(changes() <= 2 * (300 + 15 * seconds), `${changes()} changes`);
  // It comes to rest, and what is in sight is there.
  sight.show(rows(7));
  await clock.advance(30_000);
  assert.deepEqual([...held].sort(), rows(7).sort());
  assert.equal(clock.pending(), 0);
});
