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
  const happened: string[] = [];
  stream.subscribe('plant1.>', {
    onSnapshot: (reports) => happened.push(`snapshot of ${reports.length}`),
    onSnapshotComplete: () => happened.push('complete'),
    onReports: (reports) => happened.push(`${reports.length} reports`),
    ...options,
  });
  const answer = (snapshot: number) => {
    last().welcome();
    const position = tokenFromPositions(createPositions('e1', [[0, 9]]));
    last().says({ subscribed: { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position, snapshot } });
  };
  const says = (count: number, more: { snapshot?: boolean; snapshotComplete?: boolean } = {}) => {
    const reports = Array.from({ length: count }, (_, n) =>
      delivery(happened.length + 1, `plant1.d${happened.length}${n}`),
    );
    last().says({ data: { view: 1, reports, ...more } });
  };
  return { clock, last, happened, answer, says };
}

test('a program is told when all last values have come, after the last of them and before anything live', () => {
  const { happened, answer, says } = setUp();
  answer(5);
  says(2, { snapshot: true });
  says(2, { snapshot: true });
  // The fifth device had news meanwhile.
  says(0, { snapshot: true, snapshotComplete: true });
  says(1);
  assert.deepEqual(happened, ['snapshot of 2', 'snapshot of 2', 'complete', '1 reports']);
});

test('where there are no last values that is told at once, and again after a reconnect', async () => {
  const { clock, last, happened, answer, says } = setUp();
  answer(0);
  says(1);
  last().end(1006);
  await clock.advanceToNext();
  answer(0);
  assert.deepEqual(happened, ['complete', '1 reports', 'complete']);
});

test('of a server that does not mark the last frame, all devices have come when as many as it said have', () => {
  const { happened, answer, says } = setUp();
  answer(3);
  says(2, { snapshot: true });
  says(1, { snapshot: true });
  assert.deepEqual(happened, ['snapshot of 2', 'snapshot of 1', 'complete']);
});

test('cuts are whole by themselves, and a listener that throws hinders nothing', (t) => {
  const cuts = setUp({ align: 1000 });
  cuts.answer(0);
  assert.deepEqual(cuts.happened, []);
  const later: (() => void)[] = [];
  t.mock.method(globalThis, 'queueMicrotask', (call: () => void) => later.push(call));
  const throwing = setUp({
    onSnapshotComplete() {
      throw new RangeError('mine');
    },
  });
  throwing.answer(0);
  throwing.says(1);
  assert.deepEqual(throwing.happened, ['1 reports']);
  assert.equal(later.length, 1);
});
