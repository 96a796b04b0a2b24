import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { freePort } from '@tailrace/testkit/free-port';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import {
  type BrokeredNode,
  type Brokers,
  plantDevices,
  settled,
  startBrokeredNode,
  startBrokers,
  tokenForAll,
} from './brokered.ts';
import { type Watcher, watch } from './watcher.ts';

failOnLeaks({ graceMs: 5_000 });

const partitions = 6;
const perSecond = 1;
const devices = plantDevices(60);
const nodes: BrokeredNode[] = [];
let brokers: Brokers;
let token: string;
const watchers: Watcher[] = [];

before(async () => {
  brokers = await startBrokers();
  token = await tokenForAll();
  for (const name of ['a', 'b', 'c']) nodes.push(await start(name));
  await settled(nodes, partitions);
});
after(async () => {
  await Promise.all(watchers.map((watcher) => watcher.end()));
  await Promise.all(nodes.map((node) => node.stop()));
  await brokers.stop();
});

async function start(name: string): Promise<BrokeredNode> {
  const port = await freePort();
  const publicUrl = `ws://127.0.0.1:${port}`;
  return await startBrokeredNode(brokers, name, 'placement', {
    port,
    publicUrl,
    settleMs: 500,
    migrationsPerSecond: perSecond,
  });
}

async function route(node: BrokeredNode, device: string): Promise<{ node: string; url: string }> {
  const url = `http://127.0.0.1:${node.port}/v1/route?device=${device}`;
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}`, connection: 'close' } });
  assert.equal(answer.status, 200);
  return (await answer.json()) as { node: string; url: string };
}

async function watchDevice(port: number, channel: string): Promise<Watcher> {
  const watcher = await watch({ port, token, channels: [channel] });
  watchers.push(watcher);
  await watcher.next('subscribed', 20_000);
  return watcher;
}

function moves(watcher: Watcher): string[] {
  return watcher.messages.all.flatMap((message) => ('moved' in message ? [message.moved.url] : []));
}

test('a client on the wrong node gets the URL of the right one, and no further moved there', async () => {
  const device = devices[0]!;
  const home = await route(nodes[0]!, device);
  for (const node of nodes) assert.deepEqual(await route(node, device), home, `${node.name} has another answer`);
  for (const node of nodes.filter((each) => each.name !== home.node)) {
    const watcher = await watchDevice(node.port, device);
    const { moved } = await watcher.next('moved');
    assert.deepEqual(moved, { channel: device, url: home.url });
    const there = await watchDevice(Number(new URL(moved.url).port), device);
    // Any moved would come before the pong.
    there.send({ ping: { t: 1 } });
    await there.next('pong');
    assert.deepEqual(moves(there), []);
  }
});

test('after a node has joined, clients of its devices are asked to move there, a few at a time', async () => {
  const before = new Map<string, string>();
  for (const device of devices) before.set(device, (await route(nodes[0]!, device)).node);
  const clients = new Map<string, Watcher>();
  for (const [device, name] of before) {
    const { port } = nodes.find((node) => node.name === name)!;
    clients.set(device, await watchDevice(port, device));
  }
  for (const client of clients.values()) assert.deepEqual(moves(client), []);
  nodes.push(await start('d'));
  await settled(nodes, partitions);
  const homes = new Map<string, { node: string; url: string }>();
  for (const device of devices) homes.set(device, await route(nodes[0]!, device));
  const gone = devices.filter((device) => homes.get(device)!.node !== before.get(device));
  assert.ok(gone.length > 0, 'nothing has moved: the test proves nothing');
  const asked = () => gone.filter((device) => moves(clients.get(device)!).at(-1) === homes.get(device)!.url);
  // Each node limits its own rate. One more, because messages arrive with a delay.
  const allowed = (nodes.length - 1) * (perSecond + 1);
  assert.ok(gone.length > allowed, 'too few to see a rate');
  // How many had been asked when, as this process observed it.
  const seen: { readonly atMs: number; readonly count: number }[] = [];
  await eventually(
    () => {
      seen.push({ atMs: performance.now(), count: asked().length });
      assert.equal(seen.at(-1)!.count, gone.length);
    },
    { deadlineMs: 30_000, pollMs: 20, describe: 'all of them are asked' },
  );
  for (const { atMs, count } of seen) {
    const later = seen.findLast((each) => each.atMs <= atMs + 1_000)!;
    assert.ok(later.count - count <= allowed, `${later.count - count} within a second`);
  }
  for (const device of devices) {
    if (!gone.includes(device)) assert.deepEqual(moves(clients.get(device)!), [], `${device} has not moved`);
    else assert.equal(moves(clients.get(device)!).length, 1, 'each is asked once');
  }
});
