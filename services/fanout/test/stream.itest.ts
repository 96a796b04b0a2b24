import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { serverMessageFromJson } from '@tailrace/protocol/server-message';
import { createInbox, eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { randomFrom } from './cluster.ts';
import { startNode, type TestNode } from './node.ts';
import { type Watcher, watch } from './watcher.ts';

failOnLeaks();

let node: TestNode;
before(async () => {
  node = await startNode();
});
after(() => node.stop());

/** Creates devices for a test, whose reports are numbered from 1. */
function source(prefix: string, count: number) {
  const devices = Array.from({ length: count }, (_, i) => `${prefix}.d${i}`);
  const sent = new Map(devices.map((device) => [device, 0]));
  const report = async (device: string) => {
    const value = sent.get(device)! + 1;
    sent.set(device, value);
    await node.append(device, [{ tag: 'n', value }]);
  };
  return { devices, sent, report };
}

async function caughtUp(
  watchers: readonly Watcher[],
  devices: readonly string[],
  sent: ReadonlyMap<string, number>,
): Promise<void> {
  await eventually(
    () => {
      for (const watcher of watchers)
        for (const device of devices) assert.equal(watcher.last(device), sent.get(device));
    },
    { deadlineMs: 20_000, describe: 'all clients have the last report' },
  );
}

for (const encoding of ['json', 'proto'] as const) {
  test(`a client in ${encoding} gets the last values, then every report, until it unsubscribes`, async () => {
    const { devices, sent, report } = source(`e2e-${encoding}`, 2);
    const [first, second] = devices as [string, string];
    for (const device of [first, first, second]) await report(device);
    await eventually(async () => assert.ok((await node.metric('tailrace_fanout_devices')) >= 2));
    const watcher = await watch({ port: node.port, token: node.token, encoding });
    const { welcome } = await watcher.next('welcome');
    assert.equal(welcome.node, 'test');
    assert.equal(welcome.limits.messageBytesMax, 16_384);
    watcher.send({ subscribe: { id: 'a', channel: `e2e-${encoding}.>` } });
    const { subscribed } = await watcher.next('subscribed');
    assert.deepEqual([subscribed.id, subscribed.channel, subscribed.snapshot], ['a', `e2e-${encoding}.>`, 2]);
    for (const device of [first, second, first]) await report(device);
    await caughtUp([watcher], devices, sent);
    assert.deepEqual(watcher.shown.get(first)?.values, [2, 3, 4]);
    assert.deepEqual(watcher.shown.get(second)?.values, [1, 2]);
    assert.deepEqual(
      [...watcher.shown.values()].map(({ snapshots }) => snapshots),
      [1, 1],
    );
    watcher.send({ ping: { t: 17.5 } });
    assert.equal((await watcher.next('pong')).pong.t, 17.5);
    watcher.send({ unsubscribe: { id: 'a' } });
    await watcher.next('unsubscribed');
    await report(first);
    watcher.send({ ping: { t: 1 } });
    await watcher.next('pong');
    assert.equal(watcher.last(first), 4);
    await watcher.end();
    assert.equal(watcher.close, 1005);
  });
}

test('200 clients that connect at any time under load receive every value from their snapshot on, once', async () => {
  const { devices, sent, report } = source('hammer', 5);
  const random = randomFrom(1);
  for (const device of devices) await report(device);
  let loading = true;
  const load = (async () => {
    while (loading) {
      for (const device of devices) void report(device);
      await turn();
    }
  })();
  const watchers: Watcher[] = [];
  const channels = [...devices, 'hammer.>'];
  while (watchers.length < 200) {
    const batch = Array.from({ length: 10 }, async () => {
      const encoding = random() < 0.5 ? 'json' : 'proto';
      const at = Math.floor(random() * 20);
      for (let i = 0; i < at; i++) await turn();
      const watcher = await watch({ port: node.port, token: node.token, encoding });
      watcher.send({ subscribe: { id: 'a', channel: channels[Math.floor(random() * channels.length)]! } });
      await watcher.next('subscribed');
      return watcher;
    });
    watchers.push(...(await Promise.all(batch)));
  }
  const before = sent.get(devices[0]!)!;
  await eventually(() => sent.get(devices[0]!)! > before + 20);
  loading = false;
  await load;
  await eventually(
    () => {
      for (const watcher of watchers) {
        assert.ok(watcher.shown.size > 0);
        for (const device of watcher.shown.keys()) assert.equal(watcher.last(device), sent.get(device));
      }
    },
    { deadlineMs: 30_000, describe: 'all have the last value' },
  );
  for (const watcher of watchers) {
    assert.deepEqual(watcher.violations(), []);
    for (const shown of watcher.shown.values()) assert.equal(shown.snapshots, 1);
  }
  await Promise.all(watchers.map((watcher) => watcher.end()));
});

test("a browser's WebSocket gets a channel by one line: ?channel=…&token=…", async () => {
  const { devices, report } = source('oneliner', 1);
  const messages = createInbox<string>();
  const socket = new WebSocket(`ws://127.0.0.1:${node.port}/v1/stream?channel=oneliner.d0&token=${node.token}`);
  socket.onmessage = ({ data }) => messages.put(String(data));
  const kinds = async (count: number) => {
    const texts = await messages.atLeast(count);
    return texts.map((text) => Object.keys(serverMessageFromJson(text) ?? {})[0]);
  };
  assert.deepEqual(await kinds(2), ['welcome', 'subscribed']);
  await report(devices[0]!);
  assert.deepEqual(await kinds(3), ['welcome', 'subscribed', 'data']);
  const closed = new Promise((resolve) => socket.addEventListener('close', resolve));
  socket.close();
  await closed;
});

test('several channels of one URL have the ids 1, 2, …, and an invalid one does not affect the others', async () => {
  const channels = ['many.a', 'many.*', 'many.>'];
  const watcher = await watch({ port: node.port, token: node.token, channels });
  const { error } = await watcher.next('error');
  assert.deepEqual([error.id, error.code], ['2', 'invalid_pattern']);
  await eventually(() => watcher.messages.all.length === 4);
  const ids = watcher.messages.all.flatMap((message) => ('subscribed' in message ? [message.subscribed.id] : []));
  assert.deepEqual(ids, ['1', '3']);
  await watcher.end();
});

test('the token may be in the Authorization header', async () => {
  const ws = await node.connect({ headers: { Authorization: `Bearer ${node.token}` } });
  assert.deepEqual(Object.keys((await ws.nextJson()) as object), ['welcome']);
  ws.close();
  await ws.closed;
});

test('of several subprotocols the first known one is selected', async () => {
  const ws = await node.connect({ protocols: ['mqtt', 'tailrace.v1.proto', 'tailrace.v1.json'] });
  assert.equal(ws.protocol, 'tailrace.v1.proto');
  ws.close();
  await ws.closed;
  const none = await node.connect();
  assert.equal(none.protocol, undefined);
  none.close();
  await none.closed;
});

test('a node that drains notifies its clients, disconnects them with 1012 and accepts no more', async () => {
  const going = await startNode({ drainMs: 300 });
  const watchers: Watcher[] = [];
  for (let i = 0; i < 20; i++) watchers.push(await watch({ port: going.port, token: going.token, channels: ['p.>'] }));
  for (const watcher of watchers) await watcher.next('subscribed');
  const drained = going.fanout.drain();
  for (const watcher of watchers) assert.ok((await watcher.next('draining')).draining.afterMs < 300);
  await assert.rejects(going.connect(), /status 503, .*this node is going; try another, or again/);
  await drained;
  await eventually(() => watchers.every((watcher) => watcher.close === 1012));
  await going.stop();
});

test('a client whose connection breaks is released', async () => {
  const connections = await node.metric('tailrace_fanout_connections');
  const watcher = await watch({ port: node.port, token: node.token, channels: ['broken.>'] });
  await watcher.next('subscribed');
  assert.equal(await node.metric('tailrace_fanout_connections'), connections + 1);
  watcher.terminate();
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_connections'), connections));
  assert.equal(await node.metric('tailrace_fanout_channels'), 0);
});

test('a client that resumes from its position gets its backlog, and an invalid position gets an error', async () => {
  const { devices, sent, report } = source('resume', 1);
  const device = devices[0]!;
  await report(device);
  const first = await watch({ port: node.port, token: node.token });
  first.send({ subscribe: { id: 'a', channel: device } });
  const { subscribed } = await first.next('subscribed');
  await first.end();
  for (let i = 0; i < 50; i++) await report(device);
  const back = await watch({ port: node.port, token: node.token });
  back.send({ subscribe: { id: 'a', channel: device, after: 'no token' } });
  assert.equal((await back.next('error')).error.code, 'invalid_position');
  const again = await watch({ port: node.port, token: node.token, encoding: 'proto' });
  again.send({ subscribe: { id: 'a', channel: device, after: subscribed.position } });
  const answer = await again.next('subscribed');
  assert.deepEqual(
    [answer.subscribed.recovered, answer.subscribed.missing, answer.subscribed.snapshot],
    [true, undefined, 0],
  );
  await report(device);
  await caughtUp([again], devices, sent);
  assert.deepEqual(
    again.shown.get(device)?.values,
    Array.from({ length: 51 }, (_, i) => i + 2),
  );
  assert.deepEqual(again.violations(), []);
  await back.end();
  await again.end();
});
