/** A host with Mosquitto as its broker, and edge nodes of pysparkplug. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, type TestContext, test } from 'node:test';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { ClientConnection } from '@tailrace/mqtt/client-connection';
import { connectWire } from '@tailrace/mqtt/net-wire';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { type Mosquitto, startMosquitto } from '@tailrace/testkit/mosquitto';
import { sparkplugSchema } from '../src/bridge/sparkplug-settings.ts';
import type { DeadLetter } from '../src/dead-letters/dead-letter.ts';
import { LogFailures } from '../src/intake/log-failures.ts';
import { MessageIntake } from '../src/intake/message-intake.ts';
import { Pressure } from '../src/intake/pressure.ts';
import { createSparkplug } from '../src/sparkplug/sparkplug.ts';
import { loggedReports, topic } from './ingest-fixture.ts';
import { startSparkplugNode } from './sparkplug-node.ts';

failOnLeaks();

let mosquitto: Mosquitto;
before(async () => {
  mosquitto = await startMosquitto();
});
after(() => mosquitto?.stop());

interface HostOptions {
  readonly role?: 'passive' | 'active' | 'primary';
  readonly eventLog?: EventLog;
}

/** Starts a host; with `eventLog` on the log of an earlier one. */
async function startHost(t: TestContext, { role = 'passive', eventLog }: HostOptions = {}) {
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
        sparkplug: sparkplugSchema.parse({ role, hostId: 'tailrace-test', prefix: 'plant', reorderMs: 300 }),
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

test('after a lost message an active host requests the birth, once, and a foreign edge node publishes it', async (t) => {
  const { has, metric, texts } = await startHost(t, { role: 'active' });
  const node = await startSparkplugNode(mosquitto, 'n2');
  t.after(() => node.kill());
  await node.run({ op: 'connect' });
  await has('plant.g.n2/temperature=20');
  await node.run({ op: 'skip' });
  await node.run({ op: 'data', metrics: [value('temperature', 30)] });
  const { command, names } = await node.commands.next();
  assert.deepEqual([command, names], ['spBv1.0/g/NCMD/n2', ['Node Control/Rebirth']]);
  await eventually(async () => (await texts()).filter((each) => each === 'plant.g.n2/temperature=30').length === 2);
  await node.run({ op: 'data', metrics: [value('temperature', 31)] });
  await has('plant.g.n2/temperature=31');
  assert.equal(node.commands.all.length, 1);
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
