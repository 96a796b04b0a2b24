import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { failure } from '../test/contract-bench.ts';
import { PendingBytes } from './pending-bytes.ts';

function createBench() {
  const clock = createFakeClock();
  const trips: { resolve(): void; reject(error: Error): void }[] = [];
  const flush = () => new Promise<void>((resolve, reject) => trips.push({ resolve, reject }));
  return { clock, trips, pending: new PendingBytes({ clock, flush }) };
}

describe('the count of pending bytes', () => {
  it('few bytes are confirmed by one round trip after 100 ms, for any number of messages', async () => {
    const { clock, trips, pending } = createBench();
    for (let i = 0; i < 50; i++) pending.add(200);
    await clock.advance(99);
    assert.equal(trips.length, 0);
    await clock.advance(1);
    assert.equal(trips.length, 1);
    assert.equal(pending.bytes, 10_000);
    trips[0]!.resolve();
    await clock.advance(1000);
    assert.equal(pending.bytes, 0);
    assert.equal(trips.length, 1);
    assert.equal(clock.pending(), 0);
  });

  it('many bytes are confirmed at once, one round trip at a time, which covers only what was sent before it', async () => {
    const { clock, trips, pending } = createBench();
    pending.add(65_536);
    pending.add(1_000_000);
    assert.equal(trips.length, 1);
    trips[0]!.resolve();
    await clock.advance(0);
    assert.equal(pending.bytes, 1_000_000);
    assert.equal(trips.length, 2);
    trips[1]!.resolve();
    await clock.advance(0);
    assert.equal(pending.bytes, 0);
  });

  it('a waiter continues when few enough bytes are pending, one with a lower limit later', async () => {
    const { clock, trips, pending } = createBench();
    pending.add(100);
    const order: string[] = [];
    const none = pending.below(0).then(() => order.push('none'));
    assert.equal(trips.length, 1, 'with a waiter the round trip starts at once');
    pending.add(50);
    const some = pending.below(60).then(() => order.push('some'));
    trips[0]!.resolve();
    await clock.advance(0);
    assert.deepEqual(order, ['some']);
    trips[1]!.resolve();
    await Promise.all([none, some]);
    assert.deepEqual(order, ['some', 'none']);
  });

  it('when the connection is lost, waiters reject with the reason, and nothing is pending any more', async () => {
    const { clock, pending } = createBench();
    pending.add(100);
    const waiting = assert.rejects(pending.below(0), failure('unavailable', /lost/));
    pending.close(new TailraceError('unavailable', 'lost'));
    await waiting;
    await assert.rejects(pending.below(0), failure('unavailable', /lost/));
    assert.equal(pending.bytes, 0);
    assert.equal(clock.pending(), 0);
  });
});
