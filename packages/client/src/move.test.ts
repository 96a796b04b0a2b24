import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPositions, tokenFromPositions } from '@tailrace/protocol/position';
import { fakeSockets } from '../test/fake-socket.ts';
import { createStream, type Stream } from './stream.ts';
import { createTestServer } from './testing.ts';

const home = 'ws://fanout-1.test/v1/stream';

/** Creates a live stream with one subscription, and collects its reports. */
async function setUp(options: { follow?: boolean; url?: string | string[] } = {}) {
  const server = createTestServer();
  const stream = server.stream(options);
  const nodes: string[] = [];
  stream.onState((state) => nodes.push(state.name === 'live' ? state.node : state.name));
  const seqs: number[] = [];
  const subscription = stream.subscribe('plant1.a', {
    onReports: (reports) => seqs.push(...reports.map(({ seq }) => seq)),
  });
  await server.settled();
  const report = async () => {
    server.publish('plant1.a', { n: 1 });
    await server.settled();
  };
  return { server, stream, nodes, seqs, subscription, report };
}

test('after `moved` a stream moves to the node of its only channel, without a pause, loss or duplicate', async () => {
  const { server, stream, nodes, seqs, subscription, report } = await setUp();
  const states: string[] = [];
  await report();
  server.moved('plant1.a', 'ws://fanout-1.test');
  // While the second connection is being opened.
  for (let turn = 0; turn < 30; turn++) {
    server.publish('plant1.a', { n: 1 });
    await Promise.resolve();
    states.push(stream.state.name, subscription.state.name);
  }
  await server.settled();
  assert.deepEqual(server.connections, [home]);
  await report();
  assert.deepEqual(
    seqs,
    Array.from({ length: 32 }, (_, seq) => seq),
  );
  assert.deepEqual(
    nodes,
    ['live', 'live'].map((_, index) => ['tailrace', 'fanout-1'][index]),
  );
  assert.deepEqual(new Set(states), new Set(['live']));
});

/** Creates a stream with two subscriptions, whose second connection has replied to the first of them. */
function inMove<T>(subscribe: (stream: Stream) => T) {
  const { WebSocket, sockets } = fakeSockets();
  const stream = createStream({ url: 'ws://a', WebSocket, clock: createTestServer().clock, random: () => 0 });
  const position = tokenFromPositions(createPositions('e1', [[0, 1]]));
  const answer = (socket: (typeof sockets)[number], id: string) =>
    socket.deliver({
      subscribed: { id, view: id === 's1' ? 1 : 2, channel: 'p.a', epoch: 'e1', position, snapshot: 0 },
    });
  const first = subscribe(stream);
  stream.subscribe('p.a');
  sockets[0]!.welcome();
  answer(sockets[0]!, 's1');
  answer(sockets[0]!, 's2');
  sockets[0]!.deliver({ moved: { channel: 'p.a', url: 'ws://b' } });
  sockets[1]!.welcome();
  answer(sockets[1]!, 's1');
  return { stream, sockets, answer, first };
}

test('the first connection is closed only when the second one has replied to every subscription', () => {
  const got: number[] = [];
  const { stream, sockets, answer } = inMove((each) =>
    each.subscribe('p.a', { onReports: (reports) => got.push(...reports.map(({ seq }) => seq)) }),
  );
  sockets[0]!.data(1, [2]);
  sockets[1]!.data(1, [2, 3]);
  assert.equal(sockets[0]!.closedWith, undefined);
  answer(sockets[1]!, 's2');
  assert.equal(sockets[0]!.closedWith, 1000);
  assert.deepEqual(got, [2, 3]);
  stream.close();
});

test('a loop whose buffer is full during a move is paused on its serving connection, before it is resumed there', async () => {
  const {
    stream,
    sockets,
    answer,
    first: loop,
  } = inMove((each) => each.subscribe('p.a', { bufferReportsMax: 2 })[Symbol.asyncIterator]());
  sockets[0]!.data(1, [2, 3]);
  answer(sockets[1]!, 's2');
  const serving = sockets.find(({ closedWith }) => closedWith === undefined)!;
  for (const seq of [2, 3]) assert.equal((await loop.next()).value?.seq, seq);
  const kinds = serving.sent.map((message) => Object.keys(message)[0]).filter((kind) => /^(pause|resume)$/.test(kind!));
  assert.deepEqual(kinds, ['pause', 'resume']);
  stream.close();
});

test('a stream whose channels have different owners does not move, nor does one without `follow`', async () => {
  const { server, stream } = await setUp();
  stream.subscribe('plant1.b');
  await server.settled();
  server.moved('plant1.a', 'ws://fanout-1.test');
  await server.settled();
  assert.deepEqual(server.connections, [server.url]);
  server.moved('plant1.b', 'ws://fanout-2.test');
  await server.settled();
  assert.deepEqual(server.connections, [server.url]);
  server.moved('plant1.b', 'ws://fanout-1.test');
  await server.settled();
  assert.deepEqual(server.connections, [home]);

  const still = await setUp({ follow: false });
  still.server.moved('plant1.a', 'ws://fanout-1.test');
  await still.server.settled();
  assert.deepEqual(still.server.connections, [still.server.url]);
});

test('after a failed move the stream stays, and does not retry for a minute', async () => {
  const { server, nodes, report, seqs } = await setUp();
  server.setReachable(false, home);
  server.moved('plant1.a', 'ws://fanout-1.test');
  await server.settled();
  server.setReachable(true, home);
  server.moved('plant1.a', 'ws://fanout-1.test');
  await server.clock.advance(20_000);
  await report();
  assert.deepEqual(server.connections, [server.url]);
  assert.deepEqual(nodes, ['tailrace']);
  assert.deepEqual(seqs, [0]);
  await server.clock.advance(60_000);
  server.moved('plant1.a', 'ws://fanout-1.test');
  await server.settled();
  assert.deepEqual(server.connections, [home]);
});

test('two nodes that redirect to each other cause no loop, and moves have a minimum interval', async () => {
  const { server } = await setUp();
  server.moved('plant1.a', 'ws://fanout-1.test');
  await server.settled();
  server.moved('plant1.a', server.url);
  await server.clock.advance(30_000);
  assert.deepEqual(server.connections, [home], 'not back');
  server.moved('plant1.a', 'ws://fanout-2.test');
  await server.settled();
  assert.deepEqual(server.connections, ['ws://fanout-2.test/v1/stream']);
  server.moved('plant1.a', 'ws://fanout-3.test');
  await server.clock.advance(9999);
  assert.deepEqual(server.connections, ['ws://fanout-2.test/v1/stream'], 'not yet');
  await server.clock.advance(1);
  assert.deepEqual(server.connections, ['ws://fanout-3.test/v1/stream']);
});

test('after the loss of its new node a stream falls back to its own URL, with its position', async () => {
  const { server, seqs, report } = await setUp();
  await report();
  server.moved('plant1.a', 'ws://fanout-1.test');
  await server.settled();
  server.setReachable(false, home);
  server.drop();
  server.publish('plant1.a', { n: 1 });
  await server.clock.advance(1);
  assert.deepEqual(server.connections, [server.url]);
  await report();
  assert.deepEqual(seqs, [0, 1, 2]);
});

test('when the first connection is lost during a move, the second one takes over', async () => {
  const { server, nodes, seqs, report } = await setUp();
  await report();
  server.moved('plant1.a', 'ws://fanout-1.test');
  while (server.connections.length < 2) await Promise.resolve();
  // After `welcome`, before any subscribe request.
  for (let turn = 0; turn < 3; turn++) await Promise.resolve();
  server.drop(1006, server.url);
  await report();
  await server.clock.advance(0);
  await report();
  assert.equal(server.connections.length, 1);
  assert.equal(nodes.at(-1), nodes.includes('waiting') ? 'tailrace' : 'fanout-1');
  assert.deepEqual(seqs, [0, 1, 2]);
});

test('an encrypted connection does not move to an unencrypted one', async () => {
  const { server } = await setUp({ url: 'wss://plant.test' });
  server.moved('plant1.a', 'ws://fanout-1.test');
  await server.settled();
  assert.deepEqual(server.connections, ['wss://plant.test/v1/stream']);
});

test('a stream moves to another node before a draining server closes', async () => {
  const { server, nodes, seqs, report } = await setUp({ url: ['ws://a.test', 'ws://b.test'] });
  await report();
  server.send({ draining: { afterMs: 3000 } });
  await server.clock.advance(0);
  assert.deepEqual(server.connections, ['ws://b.test/v1/stream']);
  await report();
  assert.deepEqual(nodes, ['a', 'b']);
  assert.deepEqual(seqs, [0, 1]);
});

test('while the other node is unreachable, the stream retries before the draining server closes', async () => {
  const { server, seqs, report } = await setUp({ url: ['ws://a.test', 'ws://b.test'] });
  server.setReachable(false);
  server.send({ draining: { afterMs: 3000 } });
  await server.clock.advance(500);
  assert.deepEqual(server.connections, ['ws://a.test/v1/stream']);
  server.setReachable(true);
  await server.clock.advance(1_000);
  assert.deepEqual(server.connections, ['ws://b.test/v1/stream']);
  await report();
  assert.deepEqual(seqs, [0]);
});

test('a stream does not move where the other node would leave a gap', async () => {
  const { server, seqs, report } = await setUp();
  await report();
  // Reports of other devices, in all partitions: the other node cannot know that none was in this channel.
  for (let index = 0; index < 20; index++) server.publish(`plant2.d${index}`, { n: 1 });
  server.trim();
  server.moved('plant1.a', 'ws://fanout-1.test');
  await server.settled();
  assert.ok(server.received.filter((message) => 'subscribe' in message).length === 2, 'a move was attempted');
  assert.deepEqual(server.connections, [server.url]);
  await report();
  assert.equal(seqs.length, 2);
});

test('an interrupted subscription is live after a move, and interrupted again where the second server is, too', () => {
  const { WebSocket, sockets } = fakeSockets();
  const stream = createStream({ url: 'ws://a', WebSocket, clock: createTestServer().clock, random: () => 0 });
  const position = tokenFromPositions(createPositions('e1', [[0, 1]]));
  const answer = (socket: (typeof sockets)[number]) =>
    socket.deliver({ subscribed: { id: 's1', view: 1, channel: 'p.a', epoch: 'e1', position, snapshot: 0 } });
  const subscription = stream.subscribe('p.a');
  const state = (): string => subscription.state.name;
  sockets[0]!.welcome();
  answer(sockets[0]!);
  sockets[0]!.deliver({ interrupted: { view: 1, since: 1, partitions: [0] } });
  assert.equal(state(), 'interrupted');
  sockets[0]!.deliver({ moved: { channel: 'p.a', url: 'ws://b' } });
  sockets[1]!.welcome();
  answer(sockets[1]!);
  assert.equal(sockets[0]!.closedWith, 1000);
  assert.equal(state(), 'live');
  sockets[1]!.deliver({ interrupted: { view: 1, since: 2, partitions: [0] } });
  assert.equal(state(), 'interrupted');
  stream.close();
});
