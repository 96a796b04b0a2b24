import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { failure } from '../test/contract-bench.ts';
import { createOutgoing } from './outgoing.ts';

function createBench() {
  const clock = createFakeClock();
  const trips: { resolve(): void; reject(error: Error): void }[] = [];
  const flush = () => new Promise<void>((resolve, reject) => trips.push({ resolve, reject }));
  return { clock, trips, outgoing: createOutgoing({ clock, flush }) };
}

describe('the count of outgoing bytes', () => {
  it('few bytes are confirmed by one round trip after 100 ms, however many messages they were', async () => {
    const { clock, trips, outgoing } = createBench();
    for (let i = 0; i < 50; i++) outgoing.add(200);
    await clock.advance(99);
    assert.equal(trips.length, 0);
    await clock.advance(1);
    assert.equal(trips.length, 1);
    assert.equal(outgoing.pendingBytes, 10_000);
    trips[0]!.resolve();
    await clock.advance(1000);
    assert.equal(outgoing.pendingBytes, 0);
    assert.equal(trips.length, 1);
    assert.equal(clock.pending(), 0);
  });

  it('many bytes are confirmed at once, one round trip at a time, and only what was sent before it', async () => {
    const { clock, trips, outgoing } = createBench();
    outgoing.add(65_536);
    outgoing.add(1_000_000);
    assert.equal(trips.length, 1);
    trips[0]!.resolve();
    await clock.advance(0);
    assert.equal(outgoing.pendingBytes, 1_000_000);
    assert.equal(trips.length, 2);
    trips[1]!.resolve();
    await clock.advance(0);
    assert.equal(outgoing.pendingBytes, 0);
  });

  it('who waits for room goes on when there is, the modest later than the generous', async () => {
    const { clock, trips, outgoing } = createBench();
    outgoing.add(100);
    const order: string[] = [];
    const none = outgoing.below(0).then(() => order.push('none'));
    assert.equal(trips.length, 1, 'somebody waits: no time to lose');
    outgoing.add(50);
    const some = outgoing.below(60).then(() => order.push('some'));
    trips[0]!.resolve();
    await clock.advance(0);
    assert.deepEqual(order, ['some']);
    trips[1]!.resolve();
    await Promise.all([none, some]);
    assert.deepEqual(order, ['some', 'none']);
  });

  it('when the connection ends, who waits is told why, and nothing is pending any more', async () => {
    const { clock, outgoing } = createBench();
    outgoing.add(100);
    const waiting = assert.rejects(outgoing.below(0), failure('unavailable', /gone/));
    outgoing.end(new TailraceError('unavailable', 'gone'));
    await waiting;
    await assert.rejects(outgoing.below(0), failure('unavailable', /gone/));
    assert.equal(outgoing.pendingBytes, 0);
    assert.equal(clock.pending(), 0);
  });
});
