import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leakcheck';
import type { RawWebSocket } from '@tailrace/testkit/rawwebsocket';
import { opcodes } from '@tailrace/testkit/wsframes';
import { startNode, type TestNode } from './node.ts';
import { watch } from './watcher.ts';

failOnLeaks();

const socketBytesMax = 262_144;
let node: TestNode;
before(async () => {
  node = await startNode({ heartbeatMs: 2_000, pongDeadlineMs: 1_000, socketBytesMax, snapshotBytesMax: 65_536 });
});
after(() => node.stop());

const padding = 'x'.repeat(4_000);
let value = 0;

/** One report of about 16 KB, and time for it to go out. */
async function report(device: string): Promise<void> {
  value++;
  const tags = ['a', 'b', 'c', 'd'].map((tag) => ({ tag, value: padding }));
  await node.append(device, [{ tag: 'n', value }, ...tags]);
  await turn();
}

async function subscribed(channel: string, options: { answersPings?: boolean } = {}): Promise<RawWebSocket> {
  const ws = await node.connect({ path: `/v1/stream?token=${node.token}&channel=${channel}`, ...options });
  await ws.nextJson();
  await ws.nextJson();
  return ws;
}

const slow = () => node.metric('tailrace_fanout_slow_connections_total');

/** Reports until the node has given up that many clients more. */
async function reportUntilGivenUp(device: string, clients = 1): Promise<void> {
  const goal = (await slow()) + clients;
  for (let i = 0; (await slow()) < goal; i++) {
    assert.ok(i < 20_000, 'nobody was given up');
    await report(device);
  }
}

/** Values of `n` in every data frame that came, and whether the last frame is the goodbye. */
function valuesOf(ws: RawWebSocket): number[] {
  return ws.frames
    .filter(({ opcode }) => opcode === opcodes.text)
    .flatMap(({ payload }) => JSON.parse(payload.toString('utf8')).data?.reports ?? [])
    .map(({ readings }) => readings[0].value);
}

test('a client that stops reading is given up: it gets all up to its gap, then 4002, and nothing newer', async () => {
  const ws = await subscribed('slow.d');
  const other = await watch({ port: node.port, token: node.token, channels: ['slow.d'] });
  await other.next('subscribed');
  const first = value + 1;
  ws.socket.stopReading();
  await reportUntilGivenUp('slow.d');
  for (let i = 0; i < 20; i++) await report('slow.d');
  ws.socket.startReading();
  assert.deepEqual(await ws.closed, { code: 4002, reason: 'you read too slowly; come back' });
  const values = valuesOf(ws);
  assert.deepEqual(
    values,
    Array.from({ length: values.length }, (_, i) => first + i),
    'without a gap',
  );
  assert.ok(values.at(-1)! < value - 20, 'nothing after the gap');
  assert.equal(ws.frames.at(-1)?.opcode, opcodes.close);
  await eventually(() => other.last('slow.d') === value);
  assert.deepEqual(other.faults(), [], 'a slow client costs the others nothing');
  await other.end();
});

test('a client that never reads again is cut, and forgotten', async () => {
  const ws = await subscribed('stuck.d');
  ws.socket.stopReading();
  await reportUntilGivenUp('stuck.d');
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_channels'), 0));
  assert.equal(await node.metric('tailrace_fanout_connections'), 1, 'its goodbye waits for room');
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_connections'), 0));
  ws.socket.close();
});

test('slow clients do not make the memory grow beyond their buffers', async () => {
  const clients = await Promise.all(Array.from({ length: 20 }, () => subscribed('many.d')));
  for (const client of clients) client.socket.stopReading();
  const reader = await watch({ port: node.port, token: node.token, channels: ['many.d'] });
  const before = process.memoryUsage().rss;
  await reportUntilGivenUp('many.d', clients.length);
  for (let i = 0; i < 2_000; i++) await report('many.d');
  await eventually(() => reader.last('many.d') === value);
  const grown = process.memoryUsage().rss - before;
  // 20 buffers of 256 KB and one frame over; the rest is what a garbage collector leaves lying about. 2,000 reports to 20 clients are 650 MB.
  assert.ok(grown < 200_000_000, `${grown} bytes`);
  for (const client of clients) client.socket.startReading();
  for (const client of clients) assert.ok([4002, 1006].includes((await client.closed).code));
  assert.deepEqual(reader.faults(), []);
  await reader.end();
});

test('a client that asks again and again and does not read gets no more than its buffer holds', async () => {
  for (let i = 0; i < 3; i++) await report(`greedy.d${i}`);
  const ws = await node.connect({ path: `/v1/stream?token=${node.token}` });
  await ws.nextJson();
  ws.socket.stopReading();
  const given = await slow();
  for (let i = 0; i < 900; i++) ws.sendText(JSON.stringify({ subscribe: { id: `${i}`, channel: 'greedy.>' } }));
  await eventually(async () => assert.equal(await slow(), given + 1));
  ws.socket.startReading();
  assert.equal((await ws.closed).code, 4002);
});

test('of pongs that nobody reads no more waits than allowed', async () => {
  const ws = await subscribed('pings.d');
  ws.socket.stopReading();
  const given = await slow();
  const payload = 'x'.repeat(125);
  while ((await slow()) === given) {
    for (let i = 0; i < 1_000; i++) ws.ping(payload);
    await turn();
  }
  ws.socket.startReading();
  assert.ok([4002, 1006].includes((await ws.closed).code));
});

test('a client that answers no ping is let go with 4001', async () => {
  const mute = await subscribed('mute.d', { answersPings: false });
  const alive = await subscribed('mute.d');
  assert.deepEqual(await mute.closed, { code: 4001, reason: 'nothing was heard of you; come back' });
  alive.sendText('{"ping":{"t":1}}');
  assert.ok('pong' in ((await alive.nextJson()) as object));
  alive.close();
  await alive.closed;
});

test('clients that vanish without closing, by FIN or RST, are forgotten at once', async () => {
  const connections = () => node.metric('tailrace_fanout_connections');
  for (const leave of ['halfClose', 'reset', 'close'] as const) {
    const ws = await subscribed('gone.d');
    assert.equal(await connections(), 1);
    ws.socket[leave]();
    await eventually(async () => assert.equal(await connections(), 0), { describe: leave });
    ws.socket.close();
  }
  assert.equal(await node.metric('tailrace_fanout_channels'), 0);
});
