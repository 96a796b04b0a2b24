import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPositions, tokenFromPositions } from '@tailrace/protocol/position';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { delivery, fakeSockets } from '../test/fake-socket.ts';
import { createStream } from './stream.ts';
import type { SubscribeOptions } from './subscription.ts';

function setUp(options: SubscribeOptions = {}) {
  const clock = createFakeClock();
  const { WebSocket, last } = fakeSockets();
  const stream = createStream({ url: 'ws://tailrace', WebSocket, clock, random: () => 0 });
  const events: string[] = [];
  stream.subscribe('plant1.>', {
    onSnapshot: (reports) => events.push(`snapshot of ${reports.length}`),
    onSnapshotComplete: () => events.push('complete'),
    onReports: (reports) => events.push(`${reports.length} reports`),
    ...options,
  });
  const answer = (snapshot: number) => {
    last().welcome();
    const position = tokenFromPositions(createPositions('e1', [[0, 9]]));
    last().deliver({ subscribed: { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position, snapshot } });
  };
  const deliver = (count: number, more: { snapshot?: boolean; snapshotComplete?: boolean } = {}) => {
    const reports = Array.from({ length: count }, (_, n) =>
      delivery(events.length + 1, `plant1.d${events.length}${n}`),
    );
    last().deliver({ data: { view: 1, reports, ...more } });
  };
  return { clock, last, events, answer, deliver };
}

test('onSnapshotComplete is called after the last values and before live reports', () => {
  const { events, answer, deliver } = setUp();
  answer(5);
  deliver(2, { snapshot: true });
  deliver(2, { snapshot: true });
  // The fifth device had a live report meanwhile.
  deliver(0, { snapshot: true, snapshotComplete: true });
  deliver(1);
  assert.deepEqual(events, ['snapshot of 2', 'snapshot of 2', 'complete', '1 reports']);
});

test('without last values onSnapshotComplete is called at once, and again after a reconnect', async () => {
  const { clock, last, events, answer, deliver } = setUp();
  answer(0);
  deliver(1);
  last().end(1006);
  await clock.advanceToNext();
  answer(0);
  assert.deepEqual(events, ['complete', '1 reports', 'complete']);
});

test('without `snapshotComplete` from the server, the snapshot is complete with its number of devices', () => {
  const { events, answer, deliver } = setUp();
  answer(3);
  deliver(2, { snapshot: true });
  deliver(1, { snapshot: true });
  assert.deepEqual(events, ['snapshot of 2', 'snapshot of 1', 'complete']);
});

test('it is not called with `align`, and an exception in it affects nothing else', (t) => {
  const cuts = setUp({ align: 1000 });
  cuts.answer(0);
  assert.deepEqual(cuts.events, []);
  const later: (() => void)[] = [];
  t.mock.method(globalThis, 'queueMicrotask', (call: () => void) => later.push(call));
  const throwing = setUp({
    onSnapshotComplete() {
      throw new RangeError('mine');
    },
  });
  throwing.answer(0);
  throwing.deliver(1);
  assert.deepEqual(throwing.events, ['1 reports']);
  assert.equal(later.length, 1);
});
