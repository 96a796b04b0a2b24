import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { createPositions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import { delivery, fakeSockets } from '../test/fake-socket.ts';
import type { SubscriptionState } from './state.ts';
import { createStream } from './stream.ts';
import type { SubscribeOptions } from './subscription.ts';
import { createTestServer } from './testing.ts';

async function setUp(options: SubscribeOptions = {}) {
  const server = createTestServer();
  const stream = server.stream();
  const seqs: number[] = [];
  const states: string[] = [];
  const subscription = stream.subscribe('plant1.a', {
    onReports: (reports) => seqs.push(...reports.map(({ seq }) => seq)),
    onState: ({ name }) => states.push(name),
    ...options,
  });
  await server.settled();
  const publish = async (count: number) => {
    for (let index = 0; index < count; index++) server.publish('plant1.a', { n: index });
    await server.settled();
  };
  return { server, stream, subscription, seqs, states, publish };
}

test('a paused subscription receives nothing, and after resume the backlog comes first', async () => {
  const { server, subscription, seqs, states, publish } = await setUp();
  await publish(1);
  subscription.pause();
  subscription.pause();
  await server.settled();
  await publish(3);
  assert.deepEqual(seqs, [0]);
  subscription.resume();
  subscription.resume();
  await publish(1);
  assert.deepEqual(seqs, [0, 1, 2, 3, 4]);
  assert.deepEqual(states, ['live', 'paused', 'live']);
});

test('a pause outlives the connection', async () => {
  const { server, subscription, seqs, states, publish } = await setUp();
  await publish(1);
  subscription.pause();
  await server.settled();
  server.drop();
  await server.clock.advance(0);
  await publish(2);
  assert.equal(server.received.filter((message) => 'subscribe' in message).length, 1, 'no subscribe request');
  assert.deepEqual(states, ['live', 'paused']);
  subscription.resume();
  await server.settled();
  assert.deepEqual(seqs, [0, 1, 2]);
  assert.deepEqual(states, ['live', 'paused', 'waiting', 'live']);
});

test('a subscription paused before its reply stays paused', async () => {
  const server = createTestServer();
  const stream = server.stream();
  const got: number[] = [];
  const subscription = stream.subscribe('plant1.a', { onReports: (reports) => got.push(reports.length) });
  subscription.pause();
  await server.settled();
  server.publish('plant1.a', { n: 1 });
  await server.settled();
  assert.deepEqual(got, []);
  assert.equal(subscription.state.name, 'paused');
  subscription.resume();
  await server.settled();
  server.publish('plant1.a', { n: 2 });
  await server.settled();
  assert.deepEqual(got, [1]);
});

test('the backlog of a pause can be replayed at a speed, in the state `replaying`', async () => {
  const { server, subscription, states, publish } = await setUp();
  subscription.pause();
  await server.settled();
  await publish(2);
  subscription.resume({ speed: 10 });
  await server.settled();
  assert.deepEqual(states, ['live', 'paused', 'replaying', 'live']);
  assert.deepEqual(server.received.at(-1), { resume: { id: 's1', speed: 10 } });
});

test('a slow loop pauses the server, and loses no report', async () => {
  const { server, subscription, publish } = await setUp({ bufferReportsMax: 4 });
  const got: number[] = [];
  const loop = (async () => {
    for await (const { seq } of subscription) {
      got.push(seq);
      // Three turns of the network for each report of this loop.
      await server.settled();
      if (seq === 39) break;
    }
  })();
  for (let index = 0; index < 40; index++) await publish(1);
  await loop;
  assert.deepEqual(
    got,
    Array.from({ length: 40 }, (_, seq) => seq),
  );
  assert.equal(subscription.state.name, 'ended');
});

test('reports in flight at a pause are bounded, too', async () => {
  const { server, subscription } = await setUp({ bufferReportsMax: 4 });
  const iterator = subscription[Symbol.asyncIterator]();
  for (let index = 0; index < 100; index++) server.publish('plant1.a', { n: index });
  await server.settled();
  const kinds = server.received.map((message) => Object.keys(message)[0]);
  assert.ok(kinds.includes('pause') && kinds.includes('unsubscribe'), kinds.join());
  const got: number[] = [];
  for (let index = 0; index < 100; index++) {
    const { value } = await iterator.next();
    got.push(value!.seq);
    await server.settled();
  }
  assert.deepEqual(
    got,
    Array.from({ length: 100 }, (_, seq) => seq),
  );
});

test('reports that came after a loop had unsubscribed are requested again, also after `live`', async () => {
  const { WebSocket, last } = fakeSockets();
  const stream = createStream({ url: 'ws://a', WebSocket, clock: createTestServer().clock, random: () => 0 });
  const tokenOf = (seq: number) => tokenFromPositions(createPositions('e1', [[0, seq]]));
  const loop = stream.subscribe('plant1.>', { bufferReportsMax: 1 })[Symbol.asyncIterator]();
  const socket = last();
  socket.welcome();
  const answer = { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position: tokenOf(0), snapshot: 0 };
  socket.deliver({ subscribed: answer });
  socket.data(1, [1]);
  await loop.next();
  socket.data(1, [2, 3, 4]);
  socket.data(1, [5]);
  assert.deepEqual(
    socket.sent.map((message) => Object.keys(message)[0]),
    ['ping', 'subscribe', 'pause', 'resume', 'pause', 'unsubscribe'],
  );
  socket.data(1, [6]);
  socket.deliver({ live: { id: 's1', position: tokenOf(6) } });
  for (let count = 0; count < 4; count++) await loop.next();
  const again = socket.sent.at(-1);
  assert.ok(again !== undefined && 'subscribe' in again);
  assert.equal(positionsFromToken(again.subscribe.after).last(0), 5);
  stream.close();
});

test('`missing` of a reply is reported, also when another reply came before the subscription was live', async () => {
  const { clock } = createTestServer();
  const { WebSocket, last } = fakeSockets();
  const stream = createStream({ url: 'ws://a', WebSocket, clock, random: () => 0 });
  const states: SubscriptionState[] = [];
  const subscription = stream.subscribe('plant1.>', { onState: (state) => void states.push(state) });
  const answer = { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', snapshot: 0 };
  const tokenOf = (seq: number) => tokenFromPositions(createPositions('e1', [[0, seq]]));
  const reconnect = async () => {
    last().end(1006);
    await clock.advance(60_000);
    last().welcome();
  };
  last().welcome();
  last().deliver({ subscribed: { ...answer, position: tokenOf(0) } });
  const first = [{ partition: 0, from: 1, to: 4, reason: 'too_far' }] as const;
  const second = [{ partition: 0, from: 7, to: 9, reason: 'retention' }] as const;
  states.length = 0;
  await reconnect();
  subscription.pause();
  last().deliver({ subscribed: { ...answer, position: tokenOf(4), recovered: false, missing: first } });
  await reconnect();
  subscription.resume();
  last().deliver({ subscribed: { ...answer, position: tokenOf(9), recovered: false, missing: second } });
  await reconnect();
  last().deliver({ subscribed: { ...answer, position: tokenOf(9), recovered: true } });
  const lives = states.flatMap((state) => (state.name === 'live' ? [state] : []));
  assert.deepEqual(lives, [
    { name: 'live', devices: 0, recovered: false, missing: [...first, ...second] },
    { name: 'live', devices: 0, recovered: true },
  ]);
  stream.close();
});

test('a pause that crosses a refusal does not make it permanent', async () => {
  const { WebSocket, last } = fakeSockets();
  const stream = createStream({ url: 'ws://a', WebSocket, clock: createTestServer().clock, random: () => 0 });
  const subscription = stream.subscribe('plant1.>', { bufferReportsMax: 1 });
  const loop = subscription[Symbol.asyncIterator]();
  const socket = last();
  socket.welcome();
  socket.subscribed('plant1.>');
  socket.data(1, [1]);
  assert.equal(socket.sentOf('pause').length, 1);
  const message = 'expected less';
  socket.deliver({ error: { id: 's1', code: 'rate_limited', message, retryable: true } });
  socket.deliver({ error: { id: 's1', code: 'not_found', message, retryable: false } });
  assert.equal(subscription.state.name === 'failed' && subscription.state.error.code, 'rate_limited');
  await loop.next();
  assert.equal(socket.sentOf('subscribe').length, 2);
  socket.subscribed('plant1.>');
  socket.data(1, [2]);
  assert.equal((await loop.next()).value?.seq, 2);
  stream.close();
});

test('the position of a loop is that of the current report, and a later subscription resumes from it', async () => {
  const { server, stream, subscription, publish } = await setUp();
  const iterator = subscription[Symbol.asyncIterator]();
  await publish(5);
  for (let index = 0; index < 3; index++) await iterator.next();
  const { position } = subscription;
  await iterator.return?.();
  const got: number[] = [];
  for await (const { seq } of stream.subscribe('plant1.a', { after: position })) {
    got.push(seq);
    if (seq === 4) break;
  }
  assert.deepEqual(got, [3, 4]);
  await server.settled();
});

test('a signal has no listener of a closed subscription', async () => {
  const { signal } = new AbortController();
  const server = createTestServer();
  const stream = server.stream();
  await server.settled();
  stream.subscribe('plant1.a', { signal }).unsubscribe();
  const loop = stream.subscribe('plant1.b', { signal })[Symbol.asyncIterator]();
  await loop.return?.();
  stream.subscribe('plant1.c', { signal });
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  stream.close();
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('until a loop has consumed its snapshot it has the previous position, so that a later subscription receives all of it', async () => {
  const { WebSocket, last } = fakeSockets();
  const stream = createStream({ url: 'ws://a', WebSocket, clock: createTestServer().clock, random: () => 0 });
  const tokenOf = (seq: number) => tokenFromPositions(createPositions('e1', [[0, seq]]));
  const subscription = stream.subscribe('plant1.>', { bufferReportsMax: 100 });
  const loop = subscription[Symbol.asyncIterator]();
  const socket = last();
  socket.welcome();
  const answer = { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position: tokenOf(5), snapshot: 3 };
  socket.deliver({ subscribed: answer });
  socket.deliver({ data: { view: 1, snapshot: true, reports: [delivery(1, 'plant1.a'), delivery(2, 'plant1.b')] } });
  socket.deliver({ data: { view: 1, snapshot: true, snapshotComplete: true, reports: [delivery(5, 'plant1.c')] } });
  socket.deliver({ data: { view: 1, reports: [delivery(6, 'plant1.a')] } });
  const positions: (number | undefined)[] = [];
  for (let count = 0; count < 4; count++) {
    await loop.next();
    const { position } = subscription;
    positions.push(position === undefined ? undefined : positionsFromToken(position).last(0));
  }
  assert.deepEqual(positions, [undefined, undefined, 5, 6]);
  // Another reply with last values, as after a gap: the position stays until all are consumed.
  socket.deliver({ subscribed: { ...answer, position: tokenOf(9), snapshot: 2 } });
  socket.deliver({ data: { view: 1, snapshot: true, reports: [delivery(8, 'plant1.a')] } });
  socket.deliver({ data: { view: 1, snapshot: true, snapshotComplete: true, reports: [delivery(9, 'plant1.b')] } });
  await loop.next();
  assert.equal(positionsFromToken(subscription.position).last(0), 6);
  await loop.next();
  assert.equal(positionsFromToken(subscription.position).last(0), 9);
  stream.close();
});

test('a loop that overflows before its snapshot is complete starts again with `recovered: false`', async () => {
  const states: SubscriptionState[] = [];
  const { WebSocket, last } = fakeSockets();
  const stream = createStream({ url: 'ws://a', WebSocket, clock: createTestServer().clock, random: () => 0 });
  const onState = (state: SubscriptionState) => states.push(state);
  const loop = stream.subscribe('plant1.>', { bufferReportsMax: 1, onState })[Symbol.asyncIterator]();
  const socket = last();
  socket.welcome();
  const position = tokenFromPositions(createPositions('e1', [[0, 9]]));
  const answer = { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position, snapshot: 9 };
  socket.deliver({ subscribed: answer });
  for (const device of ['a', 'b', 'c', 'd'])
    socket.deliver({ data: { view: 1, snapshot: true, reports: [delivery(1, `plant1.${device}`)] } });
  assert.equal(socket.sentOf('unsubscribe').length, 1);
  for (let count = 0; count < 4; count++) await loop.next();
  const again = socket.sent.at(-1);
  assert.ok(again !== undefined && 'subscribe' in again && again.subscribe.after === undefined);
  socket.deliver({ subscribed: answer });
  const state = states.at(-1);
  assert.ok(state?.name === 'live' && state.recovered === false);
  assert.equal(state.error?.code, 'limit_reached');
  stream.close();
});

test('a closed subscription is not requested again, by resume or by a loop that consumes its buffer', async () => {
  const { server, stream, subscription } = await setUp();
  subscription.pause();
  await server.settled();
  subscription.unsubscribe();
  await server.settled();
  subscription.resume();
  const looped = stream.subscribe('plant1.b', { bufferReportsMax: 2 });
  const loop = looped[Symbol.asyncIterator]();
  await server.settled();
  for (let n = 0; n < 3; n++) server.publish('plant1.b', { n });
  await server.settled();
  looped.unsubscribe();
  while (!(await loop.next()).done);
  await server.settled();
  assert.deepEqual(server.channels, []);
});

test('a loop completes with its subscription, signal or stream, and throws a permanent refusal', async () => {
  const { server, stream, subscription } = await setUp();
  const next = subscription[Symbol.asyncIterator]().next();
  subscription.unsubscribe();
  assert.equal((await next).done, true);

  const abort = new AbortController();
  const aborted = stream.subscribe('plant1.a', { signal: abort.signal })[Symbol.asyncIterator]().next();
  await server.settled();
  abort.abort();
  assert.equal((await aborted).done, true);
  assert.equal(stream.subscribe('plant1.a', { signal: AbortSignal.abort() }).state.name, 'ended');

  server.refuse('secret.>');
  await assert.rejects(stream.subscribe('secret.>')[Symbol.asyncIterator]().next(), { code: 'forbidden' });

  const last = stream.subscribe('plant1.a');
  const closing = last[Symbol.asyncIterator]().next();
  assert.throws(() => last[Symbol.asyncIterator](), { code: 'conflict' });
  stream.close();
  assert.equal((await closing).done, true);
});

test('a paused subscription does not prevent a move', async () => {
  const { server, subscription, seqs, publish } = await setUp();
  await publish(1);
  subscription.pause();
  await server.settled();
  server.moved('plant1.a', 'ws://fanout-1.test');
  await publish(1);
  assert.deepEqual(server.connections, ['ws://fanout-1.test/v1/stream']);
  subscription.resume();
  await publish(1);
  assert.deepEqual(seqs, [0, 1, 2]);
});
