import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { freePorts } from '@tailrace/testkit/free-port';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { type ServiceProcess, startService } from '@tailrace/testkit/process';
import {
  assertWhole,
  type BrokeredNode,
  type Brokers,
  figuresOf,
  Load,
  plantDevices,
  startBrokeredNode,
  startBrokers,
  tokenForAll,
} from './brokered.ts';
import { tokenSecret } from './node.ts';
import { longestPauseMs, type Watcher, watchEach } from './watcher.ts';

failOnLeaks({ graceMs: 5_000 });

/** Enough for each of three nodes to have some: no node has more than five. */
const partitions = 12;
const devices = plantDevices(12);
let brokers: Brokers;
let token: string;
before(async () => {
  brokers = await startBrokers();
  token = await tokenForAll();
});
after(() => brokers.stop());

let testNumber = 0;
let victim: ServiceProcess;
let nodes: BrokeredNode[];
let load: Load;
let watchers: Watcher[];

beforeEach(async () => {
  const prefix = `kill${++testNumber}`;
  watchers = [];
  nodes = [];
  for (const name of ['a', 'b']) {
    nodes.push(await startBrokeredNode(brokers, `${prefix}-${name}`, prefix, { telemetryPartitions: partitions }));
  }
  victim = await startVictim(prefix);
  load = new Load(brokers, prefix, devices);
  // The third node has its share.
  await eventually(async () => assert.ok((await sum('owned_partitions')) < partitions), { deadlineMs: 30_000 });
  await eventually(
    async () => {
      for (const node of nodes) {
        assert.equal(await node.metric('tailrace_fanout_ring_nodes'), 3);
        assert.equal(await node.metric('tailrace_fanout_ring_partitions'), partitions);
        assert.equal(await node.metric('tailrace_fanout_standby_partitions'), 0);
      }
    },
    { deadlineMs: 30_000, pollMs: 50, describe: 'three nodes share the partitions' },
  );
  await load.start();
  for (const { port } of nodes) watchers.push(...(await watchEach(port, token, [...devices, 'plant.>'])));
  await load.passed(20);
});

afterEach(async () => {
  await load.close();
  await Promise.all(watchers.map((watcher) => watcher.end()));
  await victim.kill();
  await Promise.all(nodes.map((node) => node.stop()));
});

/** Starts a node in its own process, so that it can be killed. */
async function startVictim(prefix: string): Promise<ServiceProcess> {
  const [port, internalPort] = (await freePorts(2)) as [number, number];
  return await startService({
    args: [join(import.meta.dirname, '../src/main.ts')],
    env: {
      TAILRACE_NODE: `${prefix}-c`,
      TAILRACE_HOST: '127.0.0.1',
      TAILRACE_PORT: String(port),
      TAILRACE_INTERNAL_PORT: String(internalPort),
      TAILRACE_TOPIC_PREFIX: prefix,
      TAILRACE_TELEMETRY_PARTITIONS: String(partitions),
      TAILRACE_FLUSH_MS: '5',
      TAILRACE_TOKEN_SECRET: tokenSecret,
      TAILRACE_KAFKA_BROKERS: brokers.kafka.brokers.join(','),
      TAILRACE_NATS_SERVERS: brokers.nats.url,
    },
    ready: { url: `http://127.0.0.1:${internalPort}/readyz` },
    deadlineMs: 30_000,
  });
}

async function sum(metric: string): Promise<number> {
  const figures = await figuresOf(nodes, metric);
  return figures.reduce((total, figure) => total + figure, 0);
}

test('the partitions of a killed node have standby owners before the group notices, and new owners without a gap', async (t) => {
  const orphaned = partitions - (await sum('owned_partitions'));
  await victim.kill();
  await eventually(async () => assert.equal(await sum('standby_partitions'), orphaned), {
    deadlineMs: 10_000,
    pollMs: 10,
    describe: 'the others serve its partitions',
  });
  await eventually(async () => assert.equal(await sum('owned_partitions'), partitions), {
    deadlineMs: 30_000,
    pollMs: 50,
    describe: 'the group has reassigned them',
  });
  await load.passed(50);
  t.diagnostic(`longest pause ${longestPauseMs(watchers).toFixed(0)} ms`);
  assert.ok(longestPauseMs(watchers) < 5_000);
  assert.equal(await sum('standby_partitions'), 0);
  await assertWhole(load, watchers);
});

test('a node that resumes after the session timeout causes no gap and no duplicate', async (t) => {
  victim.signal('SIGSTOP');
  await eventually(async () => assert.equal(await sum('owned_partitions'), partitions), {
    deadlineMs: 30_000,
    pollMs: 50,
    describe: 'the group has reassigned its partitions',
  });
  await load.passed(50);
  t.diagnostic(`longest pause ${longestPauseMs(watchers).toFixed(0)} ms`);
  victim.signal('SIGCONT');
  await eventually(async () => assert.ok((await sum('owned_partitions')) < partitions), {
    deadlineMs: 30_000,
    pollMs: 50,
    describe: 'it is back in the group',
  });
  await load.passed(50);
  t.diagnostic(`longest pause ${longestPauseMs(watchers).toFixed(0)} ms, with its return`);
  assert.ok(longestPauseMs(watchers) < 5_000);
  await assertWhole(load, watchers);
});
