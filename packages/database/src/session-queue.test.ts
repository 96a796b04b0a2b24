import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { SessionQueue } from './session-queue.ts';

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'acquired',
    (error: unknown) => (isTailraceError(error) ? error.code : error),
  );

test('callers get the connection in the order of their calls', async () => {
  const queue = new SessionQueue({ clock: createFakeClock(), waitingMax: 10, acquireTimeoutMs: 1_000 });
  const order: number[] = [];
  const release = await queue.acquire();
  const callers = [1, 2, 3].map(async (i) => {
    const releaseOwn = await queue.acquire();
    order.push(i);
    releaseOwn();
    // Again: it does nothing.
    releaseOwn();
  });
  assert.equal(queue.waiting, 3);
  release();
  await Promise.all(callers);
  assert.deepEqual([order, queue.isBusy, queue.waiting], [[1, 2, 3], false, 0]);
});

test('a full queue refuses at once, and a caller that waits too long is refused then', async () => {
  const clock = createFakeClock();
  const queue = new SessionQueue({ clock, waitingMax: 1, acquireTimeoutMs: 1_000 });
  const release = await queue.acquire();
  const late = codeOf(queue.acquire());
  assert.equal(await codeOf(queue.acquire()), 'limit_reached');
  await clock.advance(1_000);
  assert.equal(await late, 'timeout');
  assert.deepEqual([queue.waiting, queue.refused], [0, 2]);
  release();
  assert.equal(await codeOf(queue.acquire()), 'acquired');
});

test('a connection that is released at the moment of a time-out is not lost', async () => {
  const clock = createFakeClock();
  const queue = new SessionQueue({ clock, waitingMax: 2, acquireTimeoutMs: 1_000 });
  const release = await queue.acquire();
  const late = codeOf(queue.acquire());
  clock.after(1_000, release);
  await clock.advance(1_000);
  assert.equal(await late, 'timeout');
  assert.equal(queue.isBusy, false);
});
