/** Hosts on Mosquitto and on the listener of ingest, and edge nodes of pysparkplug and Eclipse Tahu. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, type TestContext, test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { ClientConnection } from '@tailrace/mqtt/client-connection';
import { connectWire } from '@tailrace/mqtt/net-wire';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { CommandClient } from '@tailrace/testkit/command-client';
import { createInbox, eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { type Mosquitto, startMosquitto } from '@tailrace/testkit/mosquitto';
import mqtt from 'mqtt';
import { sparkplugSchema } from '../src/bridge/sparkplug-settings.ts';
import type { DeadLetter } from '../src/dead-letters/dead-letter.ts';
import { LogFailures } from '../src/intake/log-failures.ts';
import { MessageIntake } from '../src/intake/message-intake.ts';
import { Pressure } from '../src/intake/pressure.ts';
import { createSparkplug } from '../src/sparkplug/sparkplug.ts';
import { closedSessions, loggedReports, startIngest, tokenFor, topic } from './ingest-fixture.ts';
import { noMessageTracing } from './no-message-tracing.ts';
import { startSparkplugNode } from './sparkplug-node.ts';
import { startTahuNodes } from './tahu-node.ts';

failOnLeaks();

let mosquitto: Mosquitto;
before(async () => {
  mosquitto = await startMosquitto();
});
after(() => mosquitto?.stop());

interface HostOptions {
  readonly role?: 'passive' | 'active' | 'primary';
  readonly eventLog?: EventLog;
  /** Default: all. */
  readonly groups?: readonly string[];
}

/** Starts a host; with `eventLog` on the log of an earlier one. */
async function startHost(t: TestContext, { role = 'passive', eventLog, groups = ['+'] }: HostOptions = {}) {
  const clock = systemClock;
  const memory = createMemoryLog({ clock }).connect();
  if (eventLog === undefined) {
    await memory.start();
    await memory.ensureTopic({ name: topic, partitions: 4, retentionMs: 3_600_000, retentionBytes: 1e9 });
  }
  const log = eventLog ?? memory;
  const pressure = new Pressure({ clock, heldBytes: () => 0, heldBytesMax: 1e9 });
  const intake = new MessageIntake({
    ...{ eventLog: log, topic, ackDeadlineMs: 5_000, unsettledMax: 10_000, pressure, clock, logger: silentLogger },
    observer: { appended() {}, settled() {} },
    logFailures: new LogFailures({ clock, logger: silentLogger }),
  });
  const presence: string[] = [];
  const letters: DeadLetter[] = [];
  const metrics = createMetrics({ service: 'ingest', node: 'test', processMetrics: false });
  const sparkplug = createSparkplug({
    bridges: [
      {
        name: 'b',
        clientId: `test-${randomUUID()}`,
        publish: ['plant.>'],
        sparkplug: sparkplugSchema.parse({ role, hostId: 'tailrace-test', prefix: 'plant', reorderMs: 300, groups }),
        createClient: ({ sessionExpiryMs, ...options }, handlers) =>
          new ClientConnection(
            {
              ...{ clock, random: Math.random, credentials: () => ({}), version: 5, ...options },
              dial: (wire) => connectWire({ host: mosquitto.host, port: mosquitto.port }, wire),
              sessionExpirySeconds: sessionExpiryMs,
              ...{ keepAliveSeconds: 60, receiveMaximum: 1_000, packetBytesMax: 1_048_576, topicAliasMaximum: 10 },
              ...{ unackedMax: 100, newExchangeId: randomUUID },
            },
            handlers,
          ),
      },
    ],
    ...{ eventLog: log, topicPrefix: 'tailrace', bus: undefined, node: 'test', intake, clock, logger: silentLogger },
    letters: {
      write(letter, done) {
        letters.push(letter);
        setImmediate(done, undefined);
      },
    },
    tracing: noMessageTracing,
    presence: {
      started: ({ device }) => void presence.push(`+${device}`),
      closed: ({ device }, reason) => void presence.push(`-${device} ${reason}`),
    },
    devices: { admit() {} },
    clockAheadMs: 60_000,
    onAccepted() {},
    metrics,
  });
  await sparkplug.start();
  /** Returns the value of a metric. `label`: one of its labels, as in `event="gap"`. */
  const metric = async (name: string, label = '') => {
    const lines = (await metrics.text()).split('\n');
    return Number(
      lines
        .find((line) => line.startsWith(`${name}{`) && line.includes(label))
        ?.split(' ')
        .at(-1),
    );
  };
  const stop = async () => {
    await sparkplug.stop();
    await intake.drain();
    intake.close();
  };
  t.after(stop);
  await eventually(async () => (await metric('tailrace_ingest_sparkplug_connections')) === 1, {
    describe: 'connected',
  });
  /** All readings in the log, as in `plant.g.n/tag=value`; of historical reports with `~`. */
  const texts = async () =>
    (await loggedReports(log)).flatMap(({ device, readings, historical }) =>
      readings.map(({ tag, value }) => `${device}/${historical === true ? '~' : ''}${tag}=${value}`),
    );
  const has = (text: string) => eventually(async () => (await texts()).includes(text), { describe: text });
  return { log, presence, letters, texts, has, metric, stop };
}

const value = (name: string, number: number) => ({ name, value: number });

test('[tck-id-payloads-ndeath-will-message] births, data, historical values and deaths of a foreign edge node become reports and presence', async (t) => {
  const { presence, letters, texts, has } = await startHost(t);
  const node = await startSparkplugNode(mosquitto, 'n1');
  t.after(() => node.kill());
  await node.run({ op: 'connect' });
  await has('plant.g.n1/temperature=20');
  await node.run({ op: 'device', device: 'press', metrics: [value('force', 1)] });
  await node.run({ op: 'data', metrics: [value('temperature', 21.5)] });
  await node.run({ op: 'data', device: 'press', metrics: [value('force', 2)] });
  await node.run({ op: 'data', metrics: [{ ...value('temperature', 5), isHistorical: true }] });
  await has('plant.g.n1/~temperature=5');
  assert.deepEqual((await texts()).filter((each) => each.startsWith('plant.g.n1')).sort(), [
    'plant.g.n1.press/force=1',
    'plant.g.n1.press/force=2',
    'plant.g.n1/temperature=20',
    'plant.g.n1/temperature=21.5',
    'plant.g.n1/~temperature=5',
  ]);
  await node.run({ op: 'device', device: 'oven', metrics: [value('heat', 1)] });
  await node.run({ op: 'remove', device: 'press' });
  await eventually(() => presence.includes('-plant.g.n1.press death'));
  // The broker publishes the will.
  await node.kill();
  await eventually(() => presence.includes('-plant.g.n1.oven death'));
  assert.deepEqual(presence, [
    ...['+plant.g.n1', '+plant.g.n1.press', '+plant.g.n1.oven'],
    ...['-plant.g.n1.press death', '-plant.g.n1 death', '-plant.g.n1.oven death'],
  ]);
  assert.deepEqual(letters, []);
});

test('after a lost message an active host requests the birth until it has it, and a foreign edge node publishes it', async (t) => {
  const { has, metric, texts } = await startHost(t, { role: 'active' });
  const node = await startSparkplugNode(mosquitto, 'n2');
  t.after(() => node.kill());
  await node.run({ op: 'connect' });
  await has('plant.g.n2/temperature=20');
  await node.run({ op: 'skip' });
  const startedMs = performance.now();
  await node.run({ op: 'data', metrics: [value('temperature', 30)] });
  const { command, names } = await node.commands.next();
  assert.deepEqual([command, names], ['spBv1.0/g/NCMD/n2', ['Node Control/Rebirth']]);
  await eventually(async () => (await texts()).filter((each) => each === 'plant.g.n2/temperature=30').length >= 2);
  await node.run({ op: 'data', metrics: [value('temperature', 31)] });
  await has('plant.g.n2/temperature=31');
  // Asked again only while it takes more than two seconds for its birth.
  const asked = node.commands.all.length;
  assert.ok(asked <= 1 + (performance.now() - startedMs) / 2_000, `${asked} requests`);
  await node.run({ op: 'data', metrics: [value('temperature', 32)] });
  await has('plant.g.n2/temperature=32');
  assert.equal(node.commands.all.length, asked);
  assert.equal(await metric('tailrace_ingest_sparkplug_events_total', 'event="gap"'), 1);
});

test('a passive host reads the data of a foreign edge node after its restart, without a birth', async (t) => {
  const first = await startHost(t);
  const node = await startSparkplugNode(mosquitto, 'n3');
  t.after(() => node.kill());
  await node.run({ op: 'connect' });
  await first.has('plant.g.n3/temperature=20');
  await eventually(async () => (await first.metric('tailrace_ingest_sparkplug_stored_births_total')) === 1);
  await first.stop();
  const second = await startHost(t, { eventLog: first.log });
  await node.run({ op: 'data', metrics: [value('temperature', 40)] });
  await second.has('plant.g.n3/temperature=40');
  assert.equal(node.commands.all.length, 0);
  assert.equal((await second.texts()).filter((each) => each === 'plant.g.n3/temperature=20').length, 1);
});

/** Starts ingest to whose MQTT listener edge nodes connect, and a sender of commands. */
async function startListener(t: TestContext, role: 'active' | 'primary') {
  const network = createMemoryNetwork({ clock: systemClock });
  const serving = await startIngest(t, {
    bus: network.createBus({ node: 'ingest-0', logger: silentLogger }),
    node: 'ingest-0',
    settings: {
      ...{ mqttEnabled: true, mqttPort: 0, mqttSparkplug: role, mqttSparkplugPrefix: 'plant' },
      mqttSparkplugHostId: role === 'primary' ? 'h1' : '',
    },
  });
  const bus = network.createBus({ node: 'control', logger: silentLogger });
  await bus.start();
  t.after(() => bus.close());
  const client = new CommandClient(bus, systemClock);
  await client.start();
  t.after(() => client.stop());
  const texts = async () =>
    (await serving.logged()).flatMap(({ device, readings }) =>
      readings.map(({ tag, value: read }) => `${device}/${tag}=${read}`),
    );
  return {
    ...serving,
    address: { host: '127.0.0.1', port: serving.mqttPort },
    has: (text: string) => eventually(async () => (await texts()).includes(text), { describe: text }),
    texts,
    tokenOf: (node: string) => {
      const devices = [`plant.g.${node}`, `plant.g.${node}.>`];
      return tokenFor(devices, { receiveCommands: devices });
    },
    /** Writes a metric of a device, and resolves with the states of the command. */
    async write(device: string, via: string, params: Readonly<Record<string, number>>): Promise<string[]> {
      const issued = Date.now();
      const states: string[] = [];
      const command = {
        ...{ id: randomUUID(), device, via, name: 'set', params, qos: 1 as const, issued },
        ...{ deadline: issued + 10_000, fence: 0, session: 0, subject: 'test', traceparent: '' },
      };
      for await (const { state, code } of client.send(command)) states.push(code ? `${state} ${code}` : state);
      return states;
    },
    closed: (devices: readonly string[]) =>
      eventually(async () => {
        // The session of MQTT is lost as well.
        const closed = (await closedSessions(serving.eventLog)).filter((each) => each.endsWith('death'));
        assert.deepEqual(closed.sort(), devices.map((device) => `${device} death`).sort());
      }),
  };
}

// Each waits some seconds, for a reorder window or an answer.
describe('edge nodes of other libraries', { concurrency: true }, () => {
  test('a foreign edge node connects to ingest itself: births, data, a rebirth after a lost message, writes of commands, and its kill is the death of all its devices', async (t) => {
    const { address, has, texts, tokenOf, write, closed } = await startListener(t, 'active');
    const path = 'plant.g.n4';
    const node = await startSparkplugNode(address, 'n4', [path, await tokenOf('n4')]);
    t.after(() => node.kill());
    await node.run({ op: 'connect' });
    await has(`${path}/temperature=20`);
    for (const device of ['press', 'oven']) await node.run({ op: 'device', device, metrics: [value('force', 1)] });
    await node.run({ op: 'data', device: 'press', metrics: [value('force', 2)] });
    await has(`${path}.press/force=2`);
    assert.deepEqual(await write(`${path}.press`, path, { force: 3 }), ['delivered', 'done']);
    assert.deepEqual(await write(path, path, { temperature: 22 }), ['delivered', 'done']);
    await has(`${path}.press/force=3`);
    await has(`${path}/temperature=22`);
    assert.deepEqual(
      node.commands.all.map(({ command, names }) => [command, ...names]),
      [
        ['spBv1.0/g/DCMD/n4/press', 'force'],
        ['spBv1.0/g/NCMD/n4', 'temperature'],
      ],
    );
    await node.run({ op: 'skip' });
    await node.run({ op: 'data', metrics: [value('temperature', 30)] });
    await eventually(() => node.commands.all.some(({ names }) => names.includes('Node Control/Rebirth')));
    await eventually(async () => (await texts()).filter((each) => each === `${path}/temperature=30`).length >= 2);
    await node.kill();
    await closed([path, `${path}.press`, `${path}.oven`]);
  });

  test('after a restart an active host has the value that an edge node has sent meanwhile, and nothing after it', async (t) => {
    const first = await startHost(t, { role: 'active' });
    const node = await startSparkplugNode(mosquitto, 'n5');
    t.after(() => node.kill());
    await node.run({ op: 'connect' });
    await first.has('plant.g.n5/temperature=20');
    await eventually(async () => (await first.metric('tailrace_ingest_sparkplug_stored_births_total')) > 0);
    await first.stop();
    // It must have passed the broker before the second host is there.
    const witness = await mqtt.connectAsync(`mqtt://${mosquitto.host}:${mosquitto.port}`, { reconnectPeriod: 0 });
    t.after(() => witness.end(true));
    await witness.subscribeAsync('spBv1.0/g/NDATA/n5');
    const passed = createInbox<string>();
    witness.on('message', passed.put);
    await node.run({ op: 'data', metrics: [value('temperature', 50)] });
    await passed.next();
    const second = await startHost(t, { role: 'active', eventLog: first.log });
    assert.equal((await second.texts()).includes('plant.g.n5/temperature=50'), false);
    assert.ok((await second.metric('tailrace_ingest_sparkplug_unconfirmed_nodes')) >= 1);
    await second.has('plant.g.n5/temperature=50');
  });

  test('edge nodes of Eclipse Tahu with aliases, on a broker and on ingest itself, where one waits for its primary host: births, data, rebirths, writes, deaths', async (t) => {
    // Not those of other tests, whose births it would request.
    const broker = await startHost(t, { role: 'active', groups: ['t'] });
    const { address, has, texts, tokenOf, write, closed } = await startListener(t, 'primary');
    const tahu = await startTahuNodes();
    t.after(() => tahu.kill());
    const common = { op: 'connect', group: 'g', device: 'press' } as const;
    await tahu.run({ ...common, group: 't', node: 't1', host: mosquitto.host, port: mosquitto.port });
    const credentials = { username: 'plant.g.t2', password: await tokenOf('t2') };
    await tahu.run({ ...common, node: 't2', ...address, ...credentials, primaryHost: 'h1' });
    await broker.has('plant.t.t1.press/force=1');
    await has('plant.g.t2.press/force=1');
    assert.ok(tahu.events.indexOf('state true t2') < tahu.events.indexOf('birth t2'), tahu.events.join());
    const hosts = [
      { group: 't', node: 't1', has: broker.has, texts: broker.texts },
      { group: 'g', node: 't2', has, texts },
    ];
    for (const { group, node, ...host } of hosts) {
      await tahu.run({ op: 'data', node, device: true, name: 'force', value: 2 });
      await host.has(`plant.${group}.${node}.press/force=2`);
      await tahu.run({ op: 'skip', node });
      await tahu.run({ op: 'data', node, name: 'temperature', value: 30 });
      await eventually(
        async () => (await host.texts()).filter((each) => each === `plant.${group}.${node}/temperature=30`).length >= 2,
        { describe: `the birth after a gap, of ${node}` },
      );
      await tahu.run({ op: 'data', node, name: 'temperature', value: 31 });
      await host.has(`plant.${group}.${node}/temperature=31`);
    }
    // A node that takes more than two seconds for its birth is asked again.
    const requests = new Set(tahu.commands.all.map(({ command, names }) => [command, ...names].join(' ')));
    assert.deepEqual(
      [...requests],
      hosts.map(({ group, node }) => `spBv1.0/${group}/NCMD/${node} Node Control/Rebirth`),
    );
    assert.deepEqual(await write('plant.g.t2.press', 'plant.g.t2', { speed: 7 }), ['delivered', 'done']);
    await has('plant.g.t2.press/speed=7');
    await tahu.kill();
    await closed(['plant.g.t2', 'plant.g.t2.press']);
    await eventually(() => broker.presence.filter((each) => /^-plant\.t\.t1.* death$/.test(each)).length === 2);
  });
});
