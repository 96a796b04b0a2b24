import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type Data, serverMessageFromJson } from '@tailrace/protocol/server-message';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import type { RawWebSocket } from '@tailrace/testkit/raw-websocket';
import { opcodes } from '@tailrace/testkit/ws-frames';
import { startNode, type TestNode } from './node.ts';
import { watch } from './watcher.ts';

failOnLeaks();

let node: TestNode;
before(async () => {
  node = await startNode({
    ...{ heartbeatMs: 10_000, pongDeadlineMs: 3_000, messagesPerSecondMax: 1e6 },
    ...{ socketHighWaterBytes: 262_144, socketBytesMax: 2_097_152, lagMsMax: 3_000 },
  });
});
after(() => node.stop());

const padding = 'x'.repeat(4_000);
let value = 0;

/** Appends a report of about 16 KB, and waits a turn for it to be sent. */
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

/** Returns the values of `n` in the data frames received, without the spike. */
function valuesOf(ws: RawWebSocket): number[] {
  return ws.frames
    .filter(({ opcode }) => opcode === opcodes.text)
    .flatMap(({ payload }) => JSON.parse(payload.toString('utf8')).data?.reports ?? [])
    .map(({ readings }) => readings[0].value)
    .filter((each) => each < 1_000_000);
}

const lagging = () => node.metric('tailrace_fanout_lagging_connections');

/** Appends reports until `clients` more clients lag. */
async function reportUntilLagging(device: string, clients = 1): Promise<void> {
  const goal = (await lagging()) + clients;
  for (let i = 0; (await lagging()) < goal; i++) {
    assert.ok(i < 20_000, 'no client lags');
    await report(device);
  }
}

function dataOf(ws: RawWebSocket): Data[] {
  return ws.frames
    .filter(({ opcode }) => opcode === opcodes.text)
    .flatMap(({ payload }) => {
      const message = serverMessageFromJson(payload.toString('utf8'));
      return message !== undefined && 'data' in message ? [message.data] : [];
    });
}

test('a client that stops reading for a while gets a summary, spikes included, and is live again; others are not affected', async () => {
  const ws = await subscribed('slow.d');
  const other = await watch({ port: node.port, token: node.token, channels: ['slow.d'] });
  await other.next('subscribed');
  const first = value + 1;
  ws.socket.stopReading();
  await reportUntilLagging('slow.d');
  // In its backlog: more than fits into one frame, and a spike.
  for (let i = 0; i < 30; i++) await report('slow.d');
  const spike = 1_000_000;
  await node.append('slow.d', [{ tag: 'n', value: spike }]);
  for (let i = 0; i < 30; i++) await report('slow.d');
  ws.socket.startReading();
  await eventually(async () => assert.equal(await lagging(), 0));
  for (let i = 0; i < 3; i++) await report('slow.d');
  await eventually(() => valuesOf(ws).at(-1) === value, { describe: 'it is live again' });
  const [skipped, ...more] = dataOf(ws).flatMap((data) => data.skipped ?? []);
  assert.deepEqual(more, [], 'it lagged once');
  assert.deepEqual([skipped?.device, skipped?.reason], ['slow.d', 'slow']);
  const received = valuesOf(ws);
  const before = received.findIndex((each, i) => each !== first + i);
  const after = received.slice(before);
  assert.deepEqual(
    received.slice(0, before),
    Array.from({ length: before }, (_, i) => first + i),
  );
  assert.deepEqual(
    after,
    Array.from({ length: after.length }, (_, i) => value - after.length + 1 + i),
  );
  // One of them is the spike.
  assert.equal(skipped?.count, after[0]! - (first + before) + 1);
  const summary = skipped?.tags?.find(({ tag }) => tag === 'n');
  assert.deepEqual([summary?.min, summary?.max, summary?.last], [first + before, spike, after[0]]);
  assert.equal(await node.metric('tailrace_fanout_slow_conflated_reports_total'), skipped?.count);
  await eventually(() => other.last('slow.d') === value);
  assert.equal(other.shown.get('slow.d')?.values.length, value - first + 2, 'every report and the spike');
  assert.equal(await slow(), 0, 'no client was disconnected');
  ws.close();
  await ws.closed;
  await other.end();
});

test('a client that lags for too long is disconnected with 4002 and its position, and resumes from there', async () => {
  const ws = await subscribed('late.d');
  ws.socket.stopReading();
  const first = value + 1;
  await reportUntilLagging('late.d');
  for (let i = 0; i < 3; i++) await report('late.d');
  const goal = (await slow()) + 1;
  await eventually(async () => assert.equal(await slow(), goal));
  ws.socket.startReading();
  const { code, reason } = await ws.closed;
  assert.equal(code, 4002);
  const token = /^too slow; after=(.+)$/.exec(reason)?.[1];
  assert.ok(token !== undefined, reason);
  const values = valuesOf(ws);
  assert.equal(ws.frames.at(-1)?.opcode, opcodes.close);
  const back = await watch({ port: node.port, token: node.token });
  back.send({ subscribe: { id: 'a', channel: 'late.d', after: token } });
  await eventually(() => back.last('late.d') === value);
  assert.deepEqual(
    [...values, ...back.shown.get('late.d')!.values],
    Array.from({ length: value - first + 1 }, (_, i) => first + i),
    'nothing is missing or duplicated',
  );
  await back.end();
});

test('a client that never reads again is terminated, and released', async () => {
  const ws = await subscribed('stuck.d');
  ws.socket.stopReading();
  await reportUntilLagging('stuck.d');
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_channels'), 0));
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_connections'), 0), {
    deadlineMs: 10_000,
  });
  ws.socket.close();
});

test('slow clients do not make the memory grow beyond their buffers', async () => {
  const clients = await Promise.all(Array.from({ length: 20 }, () => subscribed('many.d')));
  for (const client of clients) client.socket.stopReading();
  const reader = await watch({ port: node.port, token: node.token, channels: ['many.d'] });
  const before = process.memoryUsage().rss;
  await reportUntilLagging('many.d', clients.length);
  for (let i = 0; i < 2_000; i++) await report('many.d');
  await eventually(() => reader.last('many.d') === value);
  const grown = process.memoryUsage().rss - before;
  // 20 buffers of 1.3 MB at most; the rest is what a garbage collector leaves lying about. 2,000 reports to 20 clients
  // are 650 MB.
  assert.ok(grown < 200_000_000, `${grown} bytes`);
  for (const client of clients) {
    client.socket.startReading();
    client.close();
    await client.closed;
  }
  assert.deepEqual(reader.violations(), []);
  await reader.end();
});

test('a client that subscribes repeatedly without reading fills its buffer at most, and gets everything when it reads', async () => {
  for (let i = 0; i < 3; i++) await report(`greedy.d${i}`);
  const ws = await node.connect({ path: `/v1/stream?token=${node.token}` });
  await ws.nextJson();
  ws.socket.stopReading();
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 900; i++) ws.sendText(JSON.stringify({ subscribe: { id: `${i}`, channel: 'greedy.>' } }));
  await eventually(async () => assert.ok((await node.metric('tailrace_fanout_views')) > 800));
  assert.ok(process.memoryUsage().rss - before < 100_000_000, '900 snapshots are 43 MB, twice');
  ws.socket.startReading();
  await eventually(() => dataOf(ws).flatMap(({ reports }) => reports).length === 2_700, { deadlineMs: 20_000 });
  ws.close();
  await ws.closed;
});

test('a client that does not read its pongs is disconnected at the limit of its buffer', async () => {
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

test('a client whose socket overflows at once is terminated, and gets nothing newer', async () => {
  // So small that what 40 views publish in one turn does not fit, and no check finds the socket full before.
  const tight = await startNode({ flushMs: 20, socketHighWaterBytes: 262_144, socketBytesMax: 262_144 });
  const devices = Array.from({ length: 40 }, (_, i) => `burst.d${i}`);
  const ws = await tight.connect({
    path: `/v1/stream?token=${tight.token}&${devices.map((device) => `channel=${device}`).join('&')}`,
  });
  for (let i = 0; i <= devices.length; i++) await ws.nextJson();
  const other = await watch({ port: tight.port, token: tight.token, channels: ['burst.>'] });
  await other.next('subscribed');
  ws.socket.stopReading();
  const given = () => tight.metric('tailrace_fanout_slow_connections_total');
  let last = 0;
  while ((await given()) === 0) {
    assert.ok(last < 2_000, 'no client was terminated');
    last++;
    // Some of them fit into the buffer of uWebSockets.js, some do not.
    await Promise.all(
      devices.map((device, i) =>
        tight.append(device, [
          { tag: 'n', value: last },
          ...Array.from({ length: i % 2 === 0 ? 2 : 6 }, (_, n) => ({ tag: `text${n}`, value: padding })),
        ]),
      ),
    );
    await eventually(() => other.last('burst.d39') === last);
  }
  ws.socket.startReading();
  assert.equal((await ws.closed).code, 1006);
  for (const device of devices) {
    const values = dataOf(ws)
      .flatMap(({ reports }) => reports)
      .filter((report) => report.device === device)
      .map(({ readings }) => readings[0]?.value);
    assert.deepEqual(
      values,
      [...values.keys()].map((i) => i + 1),
      `${device} without a gap`,
    );
  }
  assert.deepEqual(other.violations(), []);
  await other.end();
  await tight.stop();
});

test('a client that answers no ping is disconnected with 4001', async () => {
  const mute = await subscribed('mute.d', { answersPings: false });
  const alive = await subscribed('mute.d');
  assert.deepEqual(await mute.closed, { code: 4001, reason: 'heartbeat timeout' });
  alive.sendText('{"ping":{"t":1}}');
  assert.ok('pong' in ((await alive.nextJson()) as object));
  alive.close();
  await alive.closed;
});

test('clients that disconnect without a close frame, by FIN or RST, are released at once', async () => {
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
