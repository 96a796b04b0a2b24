import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { type NatsServer, startNats } from '@tailrace/testkit/nats';
import { type ServiceProcess, startService } from '@tailrace/testkit/process';
import mqtt, { type MqttClient } from 'mqtt';
import { loggedReports, tokenFor, tokenSecret } from './ingest-fixture.ts';
import { connectDevice, loginDevice, type RawDevice } from './raw-device.ts';

/** Two ingest processes on a real NATS, which the last test stops, and a real Kafka. */
const main = join(import.meta.dirname, '../src/main.ts');
const topicPrefix = `sessions${process.pid}`;
let kafka: KafkaBroker;
let nats: NatsServer;
let nodes: readonly IngestNode[];
let token: string;

interface IngestNode {
  readonly name: string;
  readonly process: ServiceProcess;
  readonly port: number;
  readonly mqttPort: number;
  metric(name: string): Promise<number>;
}

before(async () => {
  [kafka, nats] = await Promise.all([
    startKafka(),
    startNats({ env: { ...process.env, TAILRACE_TEST_NATS: undefined } }),
  ]);
  nodes = await Promise.all(['ingest-0', 'ingest-1'].map(startNode));
  token = await tokenFor(['plant1.>']);
  for (const node of nodes) await untilMetric(node, 'peer_nodes', 1);
});
after(async () => {
  await Promise.all((nodes ?? []).map(({ process: service }) => service.stop()));
  await Promise.all([kafka?.stop(), nats?.stop()]);
});

async function startNode(name: string): Promise<IngestNode> {
  const service = await startService({
    args: [main],
    env: {
      TAILRACE_NODE: name,
      TAILRACE_TOKEN_SECRET: tokenSecret,
      TAILRACE_HOST: '127.0.0.1',
      TAILRACE_PORT: '0',
      TAILRACE_INTERNAL_HOST: '127.0.0.1',
      TAILRACE_INTERNAL_PORT: '0',
      TAILRACE_TOPIC_PREFIX: topicPrefix,
      TAILRACE_TELEMETRY_PARTITIONS: '2',
      TAILRACE_MQTT_ENABLED: 'true',
      TAILRACE_MQTT_PORT: '0',
      TAILRACE_KAFKA_BROKERS: kafka.brokers.join(','),
      TAILRACE_NATS_SERVERS: nats.url,
    },
  });
  const [, internalPort] = await service.line(/"port":(\d+).*"the internal port listens"/);
  const [, port, mqttPort] = await service.line(/"port":(\d+).*"mqttPort":(\d+).*accepting reports at POST/);
  return {
    ...{ name, process: service, port: Number(port), mqttPort: Number(mqttPort) },
    async metric(series) {
      const page = await (await fetch(`http://127.0.0.1:${internalPort}/metrics`)).text();
      return Number(new RegExp(`^${series}\\{.*\\} (.+)$`, 'm').exec(page)?.[1]);
    },
  };
}

async function untilMetric(node: IngestNode, name: string, value: number): Promise<void> {
  await eventually(async () => assert.equal(await node.metric(`tailrace_ingest_${name}`), value), {
    describe: `${name} = ${value} at ${node.name}`,
    deadlineMs: 15_000,
    pollMs: 20,
  });
}

const press14 = 'plant1.line2.press14';
const mqttTopic = 'plant1/line2/press14/telemetry';

/** Resolves with a client of MQTT 5 whose session outlives its connection. */
async function connectMqtt(port: number, device: string): Promise<{ client: MqttClient; sessionPresent: boolean }> {
  const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
    ...{ clientId: device, username: device, password: token, protocolVersion: 5, clean: false },
    ...{ reconnectPeriod: 0, properties: { sessionExpiryInterval: 600 } },
  });
  client.on('error', () => {});
  const { sessionPresent } = await new Promise<{ sessionPresent: boolean }>((resolve) =>
    client.once('connect', resolve),
  );
  return { client, sessionPresent };
}

async function startReader(t: TestContext): Promise<KafkaEventLog> {
  const reader = new KafkaEventLog({ brokers: kafka.brokers, prefix: topicPrefix, logger: silentLogger });
  await reader.start();
  t.after(() => reader.close());
  return reader;
}

/** Resolves when both nodes know of the sessions of the other. */
async function nodesKnow(sessions: number): Promise<void> {
  for (const node of nodes) await untilMetric(node, 'known_sessions', sessions);
}

async function closeCode(device: RawDevice): Promise<string> {
  const { code, reason } = await device.socket.closed;
  return `${code} ${reason}`;
}

test('a device that reconnects to another ingest node repeats nothing in the log, and its older session is closed', async () => {
  const [a, b] = nodes as [IngestNode, IngestNode];
  const device = 'plant1.line2.press7';
  const first = await loginDevice({ port: a.port, token, device });
  first.status('m1', 1);
  assert.equal(await first.ack(), 'm1 accepted');
  await nodesKnow(1);
  // The link is lost before the answer, which the device never receives.
  first.status('m2', 2, { qos: 2 });
  first.status('m3', 3);
  assert.equal(await first.ack(), 'm2 accepted');
  first.socket.socket.reset();
  await nodesKnow(0);
  const second = await loginDevice({ port: b.port, token, device });
  for (const [index, id] of ['m1', 'm2', 'm3'].entries()) second.status(id, index + 1, { qos: 2 });
  assert.deepEqual([await second.ack(), await second.ack(), await second.ack()].sort(), [
    'm1 duplicate',
    'm2 duplicate',
    'm3 duplicate',
  ]);
  await nodesKnow(1);
  // Newest wins, the other way.
  const third = await loginDevice({ port: a.port, token, device, auth: { instance: 'boot 1' } });
  assert.equal(await closeCode(second), '4409 replaced by a session from 127.0.0.1 on ingest-0');
  third.status('m3', 3);
  assert.equal(await third.ack(), 'm3 duplicate');
  third.status('m4', 4);
  assert.equal(await third.ack(), 'm4 accepted');
  third.socket.close();
  await third.socket.closed;
  await nodesKnow(0);
  const reader = new KafkaEventLog({ brokers: kafka.brokers, prefix: topicPrefix, logger: silentLogger });
  await reader.start();
  const ids = (await loggedReports(reader, `${topicPrefix}.telemetry`)).map(({ id }) => id);
  await reader.close();
  assert.deepEqual(ids.sort(), ['m1', 'm2', 'm3', 'm4'], 'each message is in the log once');
});

test('what a device sends again after its node was killed is in the log once, also of a gateway and over MQTT', async (t) => {
  const node = await startNode('ingest-3');
  t.after(() => node.process.stop());
  await untilMetric(node, 'peer_nodes', 2);
  const [, b] = nodes as [IngestNode, IngestNode];
  const device = 'plant1.line2.press11';
  const other = 'plant1.line2.press12';
  const first = await loginDevice({ port: node.port, token, device });
  first.status('k1', 1);
  assert.equal(await first.ack(), 'k1 accepted');
  // Their answers are not read, so that the device sends all again.
  first.status('k2', 2, { qos: 2 });
  first.status('k3', 3, { from: other });
  const { client } = await connectMqtt(node.mqttPort, press14);
  const publish = (each: MqttClient, id: string, dup = false) =>
    each.publishAsync(mqttTopic, JSON.stringify({ id, readings: [{ tag: 't', value: 1 }] }), { qos: 1, dup });
  await publish(client, 'q1');
  const reader = await startReader(t);
  const logged = async () => (await loggedReports(reader, `${topicPrefix}.telemetry`)).map(({ id }) => id);
  const sent = ['k1', 'k2', 'k3', 'q1'];
  await eventually(
    async () => {
      const ids = await logged();
      assert.ok(sent.every((id) => ids.includes(id)));
    },
    { deadlineMs: 10_000, describe: 'the log has all messages' },
  );
  client.end(true);
  await node.process.kill();
  const second = await loginDevice({ port: b.port, token, device });
  second.status('k1', 1);
  second.status('k2', 2, { qos: 2 });
  second.status('k3', 3, { from: other });
  second.status('k4', 4);
  const answers = [await second.ack(), await second.ack(), await second.ack(), await second.ack()];
  assert.deepEqual(answers.sort(), ['k1 duplicate', 'k2 duplicate', 'k3 duplicate', 'k4 accepted']);
  const { client: again } = await connectMqtt(b.mqttPort, press14);
  await publish(again, 'q1', true);
  const ids = (await logged()).filter((id) => /^[kq]/.test(id ?? ''));
  assert.deepEqual(ids.sort(), ['k1', 'k2', 'k3', 'k4', 'q1'], 'each message is in the log once');
  again.end(true);
  second.socket.close();
  await second.socket.closed;
});

test('an MQTT client that reconnects to another node finds its session, and the older connection is closed', async () => {
  const [a, b] = nodes as [IngestNode, IngestNode];
  const first = await connectMqtt(a.mqttPort, 'plant1.line2.press13');
  assert.equal(first.sessionPresent, false);
  const topic = 'plant1/line2/press13/command';
  assert.deepEqual(
    (await first.client.subscribeAsync(topic, { qos: 1 })).map(({ qos }) => qos),
    [1],
  );
  const replaced = new Promise<{ reasonCode?: number }>((resolve) => first.client.once('disconnect', resolve));
  const second = await connectMqtt(b.mqttPort, 'plant1.line2.press13');
  assert.equal(second.sessionPresent, true);
  assert.equal((await replaced).reasonCode, 0x8e);
  // Without DISCONNECT, and back.
  second.client.end(true);
  const third = await connectMqtt(a.mqttPort, 'plant1.line2.press13');
  assert.equal(third.sessionPresent, true);
  third.client.end(true);
});

test('an auth that was recorded at one node is refused by the other', async () => {
  const [a, b] = nodes as [IngestNode, IngestNode];
  const payload = { device: 'plant1.line2.press8', token, time: Date.now(), nonce: 'b7f3b7f3' };
  const auth = { type: 'auth', payload };
  const device = await connectDevice({ port: a.port });
  device.send(auth);
  assert.equal((await device.next()).type, 'welcome');
  await untilMetric(b, 'nonces', 1);
  const recorded = await connectDevice({ port: b.port });
  recorded.send(auth);
  assert.match(await closeCode(recorded), /^4401/);
  device.socket.close();
  await device.socket.closed;
});

test('while NATS is away both nodes serve, also one that starts; afterwards the device has one session', async (t) => {
  const [a, b] = nodes as [IngestNode, IngestNode];
  const device = 'plant1.line2.press9';
  const first = await loginDevice({ port: a.port, token, device });
  await nodesKnow(1);
  await nats.kill();
  for (const node of nodes) await untilMetric(node, 'bus_connections', 0);
  const second = await loginDevice({ port: b.port, token, device });
  for (const each of [first, second]) {
    each.status(`of ${each === first ? 'a' : 'b'}`, 1);
    assert.match(await each.ack(), /accepted/);
  }
  const third = await startNode('ingest-2');
  t.after(() => third.process.stop());
  await untilMetric(third, 'bus_connections', 0);
  const other = await loginDevice({ port: third.port, token, device: 'plant1.line2.press10' });
  other.status('m1', 1);
  assert.equal(await other.ack(), 'm1 accepted');
  await nats.restart();
  assert.match(await closeCode(first), /^4409 replaced by a session from 127.0.0.1 on ingest-1/);
  await nodesKnow(2);
  second.status('m2', 2);
  assert.equal(await second.ack(), 'm2 accepted');
  for (const each of [second, other]) each.socket.close();
});
