/** The service as a process, which is killed while edge nodes send. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createEmbeddedLog } from '@tailrace/eventlog/embedded';
import { ClientConnection } from '@tailrace/mqtt/client-connection';
import { connectWire } from '@tailrace/mqtt/net-wire';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { rebirthName } from '@tailrace/sparkplug/metric-table';
import { decodePayload, encodePayload, type PayloadFields } from '@tailrace/sparkplug/payload';
import { eventually } from '@tailrace/testkit/eventually';
import { startMosquitto } from '@tailrace/testkit/mosquitto';
import { startService } from '@tailrace/testkit/process';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { startAcknowledgmentProxy } from './acknowledgment-proxy.ts';
import { closedSessions, loggedReports, tokenSecret } from './ingest-fixture.ts';
import { bdSeqOf, metricOf } from './sparkplug-fixture.ts';

const main = join(import.meta.dirname, '../src/main.ts');
const nodes = Array.from({ length: 40 }, (_, index) => `n${index}`);
const alias = 1;
/** Not more than a busy machine can process: the host asks again if the answer is behind 2 s of values. */
const sendMs = 40;
/** A check decodes everything that was acknowledged. */
const waiting = { deadlineMs: 40_000, pollMs: 50 };

test('ingest is killed while 40 edge nodes send: what it has acknowledged is in the log, once, its restart reads aliases without births, each node is asked for one once, and their deaths close their sessions', async (t) => {
  // Otherwise it drops messages for a subscriber with a thousand in its queue.
  const mosquitto = await startMosquitto({
    env: { ...process.env, TAILRACE_TEST_MOSQUITTO: undefined },
    settings: () => ['max_queued_messages 100000', 'max_inflight_messages 0'],
  });
  t.after(() => mosquitto.stop());
  const proxy = await startAcknowledgmentProxy(mosquitto);
  t.after(() => proxy.close());
  const dir = await createTempDir('sparkplug-kill');
  t.after(() => dir.remove());
  const mqttBridgesFile = join(dir.path, 'bridges.json');
  const sparkplug = { prefix: 'plant', role: 'active', reorderMs: 500 };
  const bridge = { name: 'b', url: `mqtt://127.0.0.1:${proxy.port}`, publish: ['plant.>'], sparkplug };
  await writeFile(mqttBridgesFile, JSON.stringify({ bridges: [bridge] }));
  const dataPath = join(dir.path, 'log');
  const start = async () => {
    const service = await startService({
      args: [main],
      env: {
        ...{ TAILRACE_TOKEN_SECRET: tokenSecret, TAILRACE_NODE: 'ingest-0' },
        ...{ TAILRACE_HOST: '127.0.0.1', TAILRACE_PORT: '0' },
        ...{ TAILRACE_INTERNAL_HOST: '127.0.0.1', TAILRACE_INTERNAL_PORT: '0' },
        ...{ TAILRACE_EVENT_LOG: 'embedded', TAILRACE_DATA_PATH: dataPath },
        TAILRACE_MQTT_BRIDGES_FILE: mqttBridgesFile,
      },
    });
    t.after(() => service.kill());
    await service.line(/receiving Sparkplug messages/);
    return service;
  };

  /** All edge nodes: one connection, whose messages have QoS 1. */
  const commands: string[] = [];
  const sequences = new Map(nodes.map((node) => [node, 0]));
  let opened: () => void = () => {};
  const isOpen = new Promise<void>((resolve) => (opened = resolve));
  const client: ClientConnection = new ClientConnection(
    {
      ...{ clock: systemClock, random: Math.random, credentials: () => ({}), version: 5, cleanStart: true },
      dial: (wire) => connectWire({ host: mosquitto.host, port: mosquitto.port }, wire),
      ...{ clientId: randomUUID(), sessionExpirySeconds: 0, keepAliveSeconds: 60, receiveMaximum: 100 },
      ...{ packetBytesMax: 262_144, topicAliasMaximum: 0, unackedMax: 60_000, isSubscribed: false },
      ...{ subscriptions: [{ filter: 'spBv1.0/g/NCMD/+', qos: 1 }], newExchangeId: randomUUID },
    },
    {
      publish({ topic, ticket }) {
        const node = topic.split('/').at(-1)!;
        commands.push(node);
        if (ticket >= 0) client.settle(ticket, 0);
        birth(node);
      },
      opened: () => opened(),
    },
  );
  const publish = (type: string, node: string, fields: PayloadFields) => {
    const seq = sequences.get(node)!;
    sequences.set(node, (seq + 1) % 256);
    const payload = encodePayload({ timestamp: Date.now(), seq, ...fields });
    client.publish({ topic: `spBv1.0/g/${type}/${node}`, payload, qos: 1 });
  };
  const birth = (node: string) => {
    sequences.set(node, 0);
    publish('NBIRTH', node, { metrics: [bdSeqOf(1), metricOf(rebirthName, false), metricOf('t', -1, { alias })] });
  };
  client.start();
  t.after(() => client.stop({ drainMs: 0 }));
  await isOpen;

  const first = await start();
  for (const node of nodes) birth(node);
  let value = 0;
  const sent = new Map<number, string>();
  /** Sends values until the returned function is called. */
  const send = () => {
    const interval = setInterval(() => {
      for (const node of nodes) {
        sent.set(++value, node);
        publish('NDATA', node, { metrics: [{ alias, doubleValue: value }] });
      }
    }, sendMs);
    return () => clearInterval(interval);
  };
  let stopSending = send();
  t.after(() => stopSending());
  const acknowledgedValues = () =>
    proxy.acknowledged.flatMap((payload) =>
      decodePayload(payload).metrics.flatMap(({ alias: of, doubleValue, name }) =>
        of === alias && !name ? [doubleValue!] : [],
      ),
    );
  await eventually(() => acknowledgedValues().length > 1_000, { ...waiting, describe: '1,000 acknowledged' });
  await first.kill();
  const beforeKill = acknowledgedValues().length;
  stopSending();
  assert.deepEqual(commands, []);

  const second = await start();
  stopSending = send();
  await eventually(() => acknowledgedValues().length > beforeKill + 1_000, waiting);
  await eventually(() => new Set(commands).size === nodes.length, { ...waiting, describe: 'each was asked' });
  stopSending();
  for (const node of nodes)
    client.publish({
      topic: `spBv1.0/g/NDEATH/${node}`,
      payload: encodePayload({ timestamp: Date.now(), metrics: [bdSeqOf(1)] }),
      qos: 1,
    });
  const deaths = () => proxy.acknowledged.filter((payload) => decodePayload(payload).seq === null).length;
  await eventually(() => deaths() === nodes.length, { ...waiting, describe: 'deaths are acknowledged' });
  await second.stop();

  const log = createEmbeddedLog({ path: dataPath, clock: systemClock, logger: silentLogger });
  await log.start();
  const logged = new Map<number, number>();
  for (const { readings } of await loggedReports(log))
    for (const { value: number } of readings) logged.set(number as number, (logged.get(number as number) ?? 0) + 1);
  const closed = await closedSessions(log);
  await log.close();
  logged.delete(-1);
  const acknowledged = acknowledgedValues();
  assert.deepEqual(
    acknowledged.filter((each) => !logged.has(each)),
    [],
    'acknowledged, and not in the log',
  );
  assert.deepEqual(
    [...logged].filter(([, times]) => times > 1),
    [],
    'in the log twice',
  );
  assert.equal(commands.length, nodes.length, 'one request for each node');
  assert.deepEqual(closed.sort(), nodes.map((node) => `plant.g.${node} death`).sort());
  t.diagnostic(
    `sent ${sent.size}, acknowledged ${acknowledged.length}, in the log ${logged.size}, asked ${commands.length}`,
  );
});
