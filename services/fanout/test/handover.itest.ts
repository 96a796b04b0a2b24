import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import {
  assertWhole,
  type BrokeredNode,
  type Brokers,
  figuresOf,
  Load,
  plantDevices,
  settled,
  startBrokeredNode,
  startBrokers,
  tokenForAll,
} from './brokered.ts';
import { longestPauseMs, type Watcher, watchEach } from './watcher.ts';

failOnLeaks({ graceMs: 5_000 });

const partitions = 6;
const devices = plantDevices(12);
let brokers: Brokers;
let token: string;
before(async () => {
  brokers = await startBrokers();
  token = await tokenForAll();
});
after(() => brokers.stop());

let testNumber = 0;
let prefix: string;
let nodes: BrokeredNode[];
let load: Load;
let watchers: Watcher[];

beforeEach(async () => {
  prefix = `handover${++testNumber}`;
  nodes = [];
  watchers = [];
  for (const name of ['a', 'b', 'c']) nodes.push(await start(name));
  load = new Load(brokers, prefix, devices);
  await settled(nodes, partitions);
  await load.start();
});

afterEach(async () => {
  await load.close();
  await Promise.all(watchers.map((watcher) => watcher.end()));
  await Promise.all(nodes.map((node) => node.stop()));
});

function start(name: string): Promise<BrokeredNode> {
  // Long enough for clients to stay on a node that does not own partitions any more.
  return startBrokeredNode(brokers, `${prefix}-${name}`, prefix, { drainMs: 1_500 });
}

/** Connects a client for each device and one for all of them to a node. */
async function watchAll(node: BrokeredNode): Promise<Watcher[]> {
  const made = await watchEach(node.port, token, [...devices, 'plant.>']);
  watchers.push(...made);
  return made;
}

test('while each node is restarted in turn under load, clients of the others receive everything once, in order, almost without a pause', async (t) => {
  for (let i = 0; i < nodes.length; i++) {
    const restarting = nodes[i]!;
    const others = nodes.filter((node) => node !== restarting);
    const clients = (await Promise.all(others.map(watchAll))).flat();
    const leaving = await watchAll(restarting);
    await load.passed(20);
    const startMs = performance.now();
    await restarting.stop();
    const stopMs = performance.now() - startMs;
    await eventually(() => leaving.every((client) => client.close === 1012), {
      describe: 'its clients are disconnected',
    });
    nodes[i] = await start(restarting.name.slice(prefix.length + 1));
    await settled(nodes, partitions);
    await load.passed(20);
    const pauseMs = longestPauseMs([...clients, ...leaving]);
    t.diagnostic(`${restarting.name}: stopped in ${stopMs.toFixed(0)} ms, longest pause ${pauseMs.toFixed(0)} ms`);
    assert.ok(pauseMs < 2_000, `a client saw nothing of a device for ${pauseMs.toFixed(0)} ms`);
    for (const client of leaving) assert.deepEqual(client.violations(), []);
    await Promise.all(leaving.map((client) => client.end()));
  }
  await assertWhole(
    load,
    watchers.filter((client) => client.close === undefined),
  );
});

test('an isolated node has standby owners until it is back, and no client misses anything', async (t) => {
  const [isolated, ...others] = nodes as [BrokeredNode, ...BrokeredNode[]];
  const clients = (await Promise.all(nodes.map(watchAll))).flat();
  const elsewhere = clients.slice(devices.length + 1);
  const own = await isolated.metric('tailrace_fanout_owned_partitions');
  assert.ok(own > 0);
  await load.passed(20);
  isolated.isolate();
  await eventually(
    async () => {
      const standby = await figuresOf(others, 'standby_partitions');
      assert.equal(
        standby.reduce((sum, count) => sum + count, 0),
        own,
      );
    },
    { deadlineMs: 10_000, pollMs: 20, describe: 'the others serve its partitions' },
  );
  // It still reads the log, and serves its own clients.
  assert.equal(await isolated.metric('tailrace_fanout_owned_partitions'), own);
  await load.passed(100);
  t.diagnostic(`longest pause ${longestPauseMs(elsewhere).toFixed(0)} ms`);
  assert.ok(longestPauseMs(elsewhere) < 4_000);
  isolated.heal();
  await settled(nodes, partitions);
  await load.passed(20);
  await assertWhole(load, clients);
});

test('a restart of NATS makes no node a standby owner', async () => {
  const clients = (await Promise.all(nodes.map(watchAll))).flat();
  await load.passed(20);
  await brokers.nats.kill();
  await load.passed(200);
  await brokers.nats.restart();
  await load.passed(200);
  await settled(nodes, partitions);
  assert.deepEqual(await figuresOf(nodes, 'taken_over_partitions_total'), [0, 0, 0]);
  await assertWhole(load, clients);
});
