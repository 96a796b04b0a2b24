import assert from 'node:assert/strict';
import { createInbox } from '@tailrace/testkit/eventually';
import { bytes, failure, type Promised, text } from './contractbench.ts';

/** What every Bus keeps of its state and its end. */
export function lifecycle(promised: Promised): void {
  promised('a listener is told the state at once, then each change', async ({ open }) => {
    const bus = await open();
    const states: string[] = [];
    bus.onState((state) => states.push(state));
    assert.deepEqual(states, ['connected']);
    await bus.close();
    assert.deepEqual(states, ['connected', 'disconnected']);
  });

  promised('what was published before close still arrives', async ({ open }) => {
    const [publisher, subscriber] = [await open(), await open()];
    const seen = createInbox<string>();
    await subscriber.subscribe('last.a', (payload) => seen.put(text(payload)));
    for (let i = 0; i < 100; i++) publisher.publish('last.a', bytes(i));
    await publisher.close();
    await seen.atLeast(100);
  });

  promised('after close every call says closed, and who waits for an answer is told so', async ({ open }) => {
    const [bus, server] = [await open(), await open()];
    await server.serve('close.a', () => new Promise(() => {}));
    const answer = assert.rejects(bus.request('close.a', bytes('x'), { deadlineMs: 60_000 }), failure('closed'));
    await bus.close();
    await bus.close();
    await answer;
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
    await assert.rejects(bus.enqueue('jobs', 'close.a', bytes('x'), { id: '1' }), failure('closed'));
    await assert.rejects(
      bus.work('jobs', 'close.a', async () => {}, { retryMs: 10 }),
      failure('closed'),
    );
  });

  promised(
    'from the call of close on no message reaches a subscriber, also while running work ends',
    async ({ open }) => {
      const [publisher, closing, other] = [await open(), await open(), await open()];
      const closed = createInbox<string>();
      const seen = createInbox<string>();
      const starts = createInbox<string>();
      let finish: () => void = () => {};
      await closing.subscribe('closing.a', (payload) => closed.put(text(payload)));
      await other.subscribe('closing.a', (payload) => seen.put(text(payload)));
      await closing.work(
        'jobs',
        'closing.a',
        (_, subject) => {
          starts.put(subject);
          return new Promise<void>((resolve) => {
            finish = resolve;
          });
        },
        { retryMs: 10_000 },
      );
      await publisher.enqueue('jobs', 'closing.a', bytes('x'), { id: 'closing' });
      await starts.next();
      publisher.publish('closing.a', bytes('before'));
      await closed.next();
      const isClosed = closing.close();
      publisher.publish('closing.a', bytes('after'));
      await seen.atLeast(2);
      // One more, so that the first has had its time to go astray.
      publisher.publish('closing.a', bytes('after'));
      await seen.atLeast(3);
      finish();
      await isClosed;
      assert.deepEqual(closed.all, ['before']);
    },
  );
}
