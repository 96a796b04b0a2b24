import assert from 'node:assert/strict';
import { createInbox } from '@tailrace/testkit/eventually';
import { bytes, failure, type Promised, text } from './contract-bench.ts';

/** The contract of every Bus on its state and `close`. */
export function lifecycle(promised: Promised): void {
  promised('what was published before close is still delivered', async ({ open }) => {
    const [publisher, subscriber] = [await open(), await open()];
    const seen = createInbox<string>();
    await subscriber.subscribe('last.a', (payload) => seen.put(text(payload)));
    for (let i = 0; i < 100; i++) publisher.publish('last.a', bytes(i));
    await publisher.close();
    await seen.atLeast(100);
  });

  promised('after close every call rejects with closed, and so does a pending request', async ({ open }) => {
    const [bus, server] = [await open(), await open()];
    await server.serve('close.a', () => new Promise(() => {}));
    const rejected = assert.rejects(bus.request('close.a', bytes('x'), { deadlineMs: 60_000 }), failure('closed'));
    await bus.close();
    await bus.close();
    await rejected;
    assert.throws(() => bus.publish('close.a', bytes('x')), failure('closed'));
    await assert.rejects(bus.start(), failure('closed'));
    await assert.rejects(
      bus.subscribe('close.a', () => {}),
      failure('closed'),
    );
    await assert.rejects(
      bus.serve('close.a', () => []),
      failure('closed'),
    );
    await assert.rejects(bus.request('close.a', bytes('x'), { deadlineMs: 10 }), failure('closed'));
  });

  promised('from the call of close on no message reaches a subscriber', async ({ open }) => {
    const [publisher, closing, other] = [await open(), await open(), await open()];
    const closed = createInbox<string>();
    const seen = createInbox<string>();
    await closing.subscribe('closing.a', (payload) => closed.put(text(payload)));
    await other.subscribe('closing.a', (payload) => seen.put(text(payload)));
    publisher.publish('closing.a', bytes('before'));
    await closed.next();
    const isClosed = closing.close();
    publisher.publish('closing.a', bytes('after'));
    await seen.atLeast(2);
    // One more, so that the first had time to be delivered wrongly.
    publisher.publish('closing.a', bytes('after'));
    await seen.atLeast(3);
    await isClosed;
    assert.deepEqual(closed.all, ['before']);
  });
}
