import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import {
  assertWhole,
  type BrokeredNode,
  type Brokers,
  Load,
  plantDevices,
  settled,
  startBrokeredNode,
  startBrokers,
  tokenForAll,
} from './brokered.ts';
import { type Watcher, watchEach } from './watcher.ts';

failOnLeaks({ graceMs: 5_000 });

let brokers: Brokers;
let token: string;
before(async () => {
  brokers = await startBrokers();
  token = await tokenForAll();
});
after(() => brokers.stop());

const partitions = 6;
const devices = plantDevices(12);
let testNumber = 0;
let prefix: string;
let nodes: BrokeredNode[];
let load: Load;
let watchers: Watcher[];

beforeEach(async () => {
  prefix = `test${++testNumber}`;
  nodes = [];
  watchers = [];
  for (const name of ['a', 'b']) nodes.push(await startBrokeredNode(brokers, `${prefix}-${name}`, prefix));
  load = new Load(brokers, prefix, devices);
  await settled(nodes, partitions, 1);
});

afterEach(async () => {
  await load.close();
  await Promise.all(watchers.map((watcher) => watcher.end()));
  await Promise.all(nodes.map((node) => node.stop()));
});

/** Connects a client for each device and one for all of them to a node. */
async function watchAll(node: BrokeredNode): Promise<Watcher[]> {
  const made = await watchEach(node.port, token, [...devices, 'plant.>']);
  watchers.push(...made);
  return made;
}

/** Asserts that every client is complete, and that one of them watches all devices. */
async function assertWholeFleet(clients: readonly Watcher[]): Promise<void> {
  await assertWhole(load, clients);
  assert.ok(clients.some((client) => client.shown.size === devices.length));
}

test('every device is complete on both nodes, whichever of them owns it', async () => {
  await load.start();
  const clients = (await Promise.all(nodes.map(watchAll))).flat();
  await load.passed(200);
  await assertWholeFleet(clients);
  for (const node of nodes) {
    assert.ok(
      (await node.metric('tailrace_fanout_received_relay_frames_total')) > 0,
      `${node.name} got nothing by relay`,
    );
    assert.ok((await node.metric('tailrace_fanout_deliveries_total')) > 0);
  }
});

test('each node lists the devices of both, page by page', async () => {
  await load.start();
  await load.passed(200);
  await load.stop();
  for (const { port } of nodes) {
    const ask = async (query: string) => {
      const headers = { authorization: `Bearer ${token}`, connection: 'close' };
      const answer = await fetch(`http://127.0.0.1:${port}/v1/devices${query}`, { headers });
      return (await answer.json()) as {
        devices: { device: string }[];
        count: number;
        next?: string;
        missing?: number[];
      };
    };
    await eventually(async () => assert.equal((await ask('?limit=0')).count, devices.length));
    const first = await ask('?limit=7');
    const second = await ask(`?limit=7&after=${first.next}`);
    assert.deepEqual(
      [...first.devices, ...second.devices].map(({ device }) => device),
      [...devices].sort(),
    );
    assert.deepEqual([first.missing, second.missing, second.next], [undefined, undefined, undefined]);
  }
});

test('when NATS restarts under load nothing is lost or duplicated once it is back', async () => {
  await load.start();
  const clients = (await Promise.all(nodes.map(watchAll))).flat();
  await load.passed(50);
  for (let i = 0; i < 2; i++) {
    await brokers.nats.kill();
    await load.passed(100);
    await brokers.nats.restart();
    await load.passed(100);
  }
  const later = (await Promise.all(nodes.map(watchAll))).flat();
  await load.passed(50);
  await assertWholeFleet([...clients, ...later]);
});

test('when a node stops gracefully the other serves its partitions, and its clients see no gap', async () => {
  await load.start();
  const [leaving, staying] = nodes as [BrokeredNode, BrokeredNode];
  const clients = await watchAll(staying);
  const moved = await watchAll(leaving);
  await load.passed(50);
  await leaving.stop();
  await eventually(() => {
    for (const client of moved) assert.equal(client.close, 1012);
  });
  await eventually(async () => assert.equal(await staying.metric('tailrace_fanout_owned_partitions'), partitions), {
    deadlineMs: 30_000,
  });
  // They reconnect to the other node and continue there.
  const back = await watchAll(staying);
  await load.passed(50);
  await assertWholeFleet([...clients, ...back]);
  for (const client of moved) assert.deepEqual(client.violations(), []);
});

test('when a node joins under load the clients of the others see no gap', async () => {
  await load.start();
  const clients = (await Promise.all(nodes.map(watchAll))).flat();
  await load.passed(50);
  const third = await startBrokeredNode(brokers, `${prefix}-c`, prefix);
  nodes.push(third);
  await eventually(async () => assert.ok((await third.metric('tailrace_fanout_owned_partitions')) > 0), {
    deadlineMs: 30_000,
  });
  clients.push(...(await watchAll(third)));
  await load.passed(100);
  await assertWholeFleet(clients);
});

test('when Kafka restarts under load nothing is lost or duplicated', async () => {
  await load.start();
  const clients = (await Promise.all(nodes.map(watchAll))).flat();
  await load.passed(50);
  await brokers.kafka.kill();
  const sent = new Map(load.sent);
  await brokers.kafka.restart();
  await load.passed(100);
  assert.ok(devices.every((device) => load.sent.get(device)! > sent.get(device)! + 99));
  const later = (await Promise.all(nodes.map(watchAll))).flat();
  await load.passed(50);
  await assertWholeFleet([...clients, ...later]);
});
