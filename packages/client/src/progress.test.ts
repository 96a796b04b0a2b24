import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPositions, tokenFromPositions } from '@tailrace/protocol/position';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { fakeSockets } from '../test/fake-socket.ts';
import type { SubscriptionState } from './state.ts';
import { createStream } from './stream.ts';

function setUp() {
  const clock = createFakeClock({ nowMs: 1_000_000 });
  const { WebSocket, last } = fakeSockets();
  const stream = createStream({ url: 'ws://node:8081', WebSocket, clock, random: () => 0.5 });
  return { clock, stream, last };
}

test('after a connection lost before the snapshot is complete, last values come again, so that no idle device is missing', async () => {
  const { clock, stream, last } = setUp();
  const snapshot: number[] = [];
  const states: SubscriptionState[] = [];
  stream.subscribe('plant1.>', {
    onSnapshot: (reports) => snapshot.push(...reports.map(({ seq }) => seq)),
    onState: (state) => states.push(state),
  });
  const position = (seq: number) => tokenFromPositions(createPositions('e1', [[0, seq]]));
  const answer = (seq: number, snapshot: number, fields: object = {}) =>
    last().deliver({
      subscribed: { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position: position(seq), snapshot, ...fields },
    });
  const reconnect = async () => {
    last().end(1006);
    await clock.advanceToNext();
    last().welcome();
  };
  const requestedAfter = () => (last().sentOf('subscribe')[0] as { subscribe: { after?: string } }).subscribe.after;
  last().welcome();
  answer(5, 2);
  await reconnect();
  assert.equal(requestedAfter(), undefined, 'no last value came');
  answer(6, 2);
  last().data(1, [3], { device: 'plant1.a', snapshot: true });
  // A live report, as of the other connection of a move: it does not count as a last value.
  last().data(1, [7], { device: 'plant1.c' });
  await reconnect();
  assert.equal(requestedAfter(), undefined, 'one of two came');
  answer(8, 2);
  last().data(1, [3], { device: 'plant1.a', snapshot: true });
  last().data(1, [4], { device: 'plant1.b', snapshot: true });
  assert.deepEqual(snapshot, [3, 4]);
  const state = states.at(-1)!;
  assert.ok(state.name === 'live' && state.recovered === false && state.missing === undefined, 'reports may be lost');
  assert.match(state.error?.message ?? '', /lost before all last values/);
  await reconnect();
  assert.equal(requestedAfter(), position(8), 'all came');
});

test('the snapshot is complete with `snapshotComplete`, for any number of devices', async () => {
  const { clock, stream, last } = setUp();
  stream.subscribe('plant1.>');
  const position = tokenFromPositions(createPositions('e1', [[0, 8]]));
  last().welcome();
  last().deliver({ subscribed: { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position, snapshot: 3 } });
  last().data(1, [3], { device: 'plant1.a', snapshot: true });
  // The other last values became live reports meanwhile.
  last().deliver({ data: { view: 1, reports: [], snapshot: true, snapshotComplete: true } });
  last().end(1006);
  await clock.advanceToNext();
  last().welcome();
  assert.equal((last().sentOf('subscribe')[0] as { subscribe: { after?: string } }).subscribe.after, position);
});

test('after a connection lost before the last values of a gap, the same position is requested again', async () => {
  const { clock, stream, last } = setUp();
  stream.subscribe('plant1.>');
  const position = (seq: number) => tokenFromPositions(createPositions('e1', [[0, seq]]));
  const subscribed = { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1' };
  const requestedAfter = () => (last().sentOf('subscribe')[0] as { subscribe: { after?: string } }).subscribe.after;
  last().welcome();
  last().deliver({ subscribed: { ...subscribed, position: position(5), snapshot: 0 } });
  last().end(1006);
  await clock.advanceToNext();
  last().welcome();
  const missing = [{ partition: 0, from: 6, to: 20, reason: 'too_far' }];
  last().deliver({ subscribed: { ...subscribed, position: position(20), snapshot: 3, recovered: false, missing } });
  last().end(1006);
  await clock.advanceToNext();
  last().welcome();
  assert.equal(requestedAfter(), position(5));
});

test('a client resumes from the position of `progress`, and ignores that of another epoch or of a later server', async () => {
  const { clock, stream, last } = setUp();
  stream.subscribe('plant1.>');
  const position = (seq: number, epoch = 'e1') => tokenFromPositions(createPositions(epoch, [[0, seq]]));
  last().welcome();
  const subscribed = { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position: position(5), snapshot: 0 };
  last().deliver({ subscribed });
  for (const token of [position(700), position(600), position(900, 'e2'), '!']) {
    last().deliver({ progress: { view: 1, position: token } });
  }
  last().end(1006);
  await clock.advanceToNext();
  last().welcome();
  const [request] = last().sentOf('subscribe');
  assert.deepEqual(request, { subscribe: { id: 's1', channel: 'plant1.>', after: position(700) } });
});

test('the position of a loop reaches that of `progress` when it has consumed the reports before', async () => {
  const { stream, last } = setUp();
  const subscription = stream.subscribe('plant1.>');
  const position = (seq: number) => tokenFromPositions(createPositions('e1', [[0, seq]]));
  last().welcome();
  const subscribed = { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position: position(5), snapshot: 0 };
  last().deliver({ subscribed });
  const loop = subscription[Symbol.asyncIterator]();
  last().data(1, [6]);
  last().deliver({ progress: { view: 1, position: position(700) } });
  assert.equal((await loop.next()).value?.seq, 6);
  assert.equal(subscription.position, position(6));
  void loop.next();
  assert.equal(subscription.position, position(700));
  stream.close();
});

test('an interrupted replay that resumes by position is live, since the server sends no `live`', async () => {
  const { clock, stream, last } = setUp();
  const states: string[] = [];
  const subscription = stream.subscribe('plant1.>', { from: 1, onState: ({ name }) => states.push(name) });
  const position = (seq: number) => tokenFromPositions(createPositions('e1', [[0, seq]]));
  const answer = (seq: number) =>
    last().deliver({
      subscribed: {
        ...{ id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position: position(seq), snapshot: 0 },
        recovered: true,
      },
    });
  last().welcome();
  answer(0);
  last().data(1, [1, 2]);
  last().end(1006);
  await clock.advanceToNext();
  last().welcome();
  const [request] = last().sentOf('subscribe');
  assert.deepEqual(request, { subscribe: { id: 's1', channel: 'plant1.>', after: position(2) } });
  answer(2);
  last().data(1, [3]);
  assert.equal(subscription.state.name, 'live');
  assert.deepEqual(states, ['replaying', 'waiting', 'live']);
  stream.close();
});
