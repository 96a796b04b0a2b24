import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import type { RawWebSocket } from '@tailrace/testkit/raw-websocket';
import { opcodes } from '@tailrace/testkit/ws-frames';
import { startNode, type TestNode } from './node.ts';
import { assertServes, welcomed } from './stream-client.ts';

failOnLeaks();

let node: TestNode;
before(async () => {
  node = await startNode({
    heartbeatMs: 2_000,
    pongDeadlineMs: 1_000,
    authDeadlineMs: 500,
    messagesPerSecondMax: 20,
    subscriptionsMax: 50,
  });
});
after(() => node.stop());

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const connections = () => node.metric('tailrace_fanout_connections');

test('a peer that vanishes without closing is disconnected by its heartbeat', async () => {
  const vanished = await node.connect({
    path: `/v1/stream?token=${node.token}&channel=half.open`,
    answersPings: false,
  });
  await vanished.nextJson();
  vanished.socket.stopReading();
  await node.append('half.open', [{ tag: 'n', value: 1 }]);
  assert.equal(await connections(), 1);
  await eventually(async () => assert.equal(await connections(), 0), { deadlineMs: 10_000 });
  assert.equal(await node.metric('tailrace_fanout_channels'), 0);
  assert.equal(await node.metric('tailrace_fanout_users'), 0);
  vanished.socket.close();
});

test('a connection that sends nothing, or an unfinished message, is disconnected and released', async () => {
  const idle = await node.connect();
  const unfinished = await node.connect();
  unfinished.sendFrame({ opcode: opcodes.text, fin: false, payload: '{"auth":{"tok' });
  for (const ws of [idle, unfinished]) assert.equal((await ws.closed).code, 4408);
  await eventually(async () => assert.equal(await connections(), 0));
});

test('a channel without devices is served, and stays empty', async () => {
  const ws = await welcomed(node);
  ws.sendText('{"subscribe":{"id":"a","channel":"no.such.device"}}');
  const { subscribed } = (await ws.nextJson()) as { subscribed: { snapshot: number } };
  assert.equal(subscribed.snapshot, 0);
  ws.sendText('{"ping":{"t":1}}');
  assert.ok('pong' in ((await ws.nextJson()) as object));
  ws.close();
  await ws.closed;
});

test('a repeated id gets an error each time, and then disconnects', async () => {
  const ws = await welcomed(node);
  const subscribe = (count: number) => {
    for (let i = 0; i < count; i++) ws.sendText('{"subscribe":{"id":"a","channel":"p.d"}}');
  };
  const codes = () =>
    ws.frames
      .filter(({ opcode }) => opcode === opcodes.text)
      .map(({ payload }) => JSON.parse(payload.toString()).error?.code);
  subscribe(101);
  await eventually(() => assert.equal(codes().filter((code) => code === 'conflict').length, 100));
  // More than twice (20 a second + 50 subscriptions) at once.
  subscribe(200);
  assert.equal((await ws.closed).code, 4429);
  assert.equal(codes().at(-1), 'rate_limited');
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_channels'), 0));
});

/** Misbehavior of clients. */
const misdeeds: readonly ((ws: RawWebSocket) => void)[] = [
  (ws) => ws.sendText('hello'),
  (ws) => ws.sendText('{"auth":{"token":"x.y.z"}}'),
  (ws) => ws.sendText(JSON.stringify({ auth: { token: 'x'.repeat(16_000) } })),
  (ws) => ws.sendText('x'.repeat(20_000)),
  (ws) => ws.sendBinary(new Uint8Array(1_000)),
  (ws) => ws.sendFrame({ opcode: opcodes.text, fin: false, payload: 'x'.repeat(10_000) }),
  (ws) => ws.sendFrame({ opcode: opcodes.text, payload: 'x', claimedLength: 60_000 }),
  (ws) => {
    for (let i = 0; i < 200; i++) ws.ping('x'.repeat(125));
  },
  (ws) => {
    for (let i = 0; i < 50; i++) ws.sendText(JSON.stringify({ subscribe: { id: `${i}`, channel: `p${i}.>` } }));
  },
];

async function misbehave(): Promise<void> {
  const clients = await Promise.all(
    misdeeds.map(async (misdeed, i) => {
      const query = i < 3 ? '' : `?token=${node.token}`;
      const ws = await node.connect({ path: `/v1/stream${query}`, answersPings: false });
      misdeed(ws);
      return ws;
    }),
  );
  await assertServes(node);
  for (const ws of clients) ws.socket.reset();
}

async function misbehaveOften(iterations: number): Promise<number> {
  for (let i = 0; i < iterations; i++) await misbehave();
  await eventually(async () => assert.equal(await connections(), 0), { deadlineMs: 10_000 });
  assert.equal(await node.metric('tailrace_fanout_channels'), 0);
  assert.equal(await node.metric('tailrace_fanout_users'), 0);
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

test('misbehaving clients leave nothing in memory', async () => {
  // 360 clients each time: a session of each would be 1 MB. What is compiled and cached for the first time grows the
  // heap once in a while, too, but not each time.
  let before = await misbehaveOften(40);
  const growth: number[] = [];
  while (growth.length < 5 && !growth.some((bytes) => bytes < 300_000)) {
    const bytes = await misbehaveOften(40);
    growth.push(bytes - before);
    before = bytes;
  }
  assert.ok(Math.min(...growth) < 300_000, `the heap grew each time: ${growth.join(', ')} bytes`);
  assert.equal(await node.metric('tailrace_fanout_internal_errors_total'), 0);
  assert.equal(await node.metric('tailrace_fanout_addresses'), 1);
});
