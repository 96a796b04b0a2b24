import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { startKafka } from '@tailrace/testkit/kafka';
import { startMosquitto } from '@tailrace/testkit/mosquitto';
import { startService } from '@tailrace/testkit/process';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { loggedReports, tokenSecret } from './ingest-fixture.ts';
import { Publisher } from './mqtt-publisher.ts';

const main = join(import.meta.dirname, '../src/main.ts');
/** Messages that may be in the log twice for each kill of ingest: those in progress. */
const receiveMaximum = 100;

test('ingest, the broker and Kafka are killed under load: every message that the broker acknowledged is in the log, once per ID', async (t) => {
  const kafka = await startKafka({ env: { ...process.env, TAILRACE_TEST_KAFKA: undefined } });
  t.after(() => kafka.stop());
  // Written at each change: a broker that is killed loses what is not on its disk, whatever its clients do.
  const mosquitto = await startMosquitto({
    env: { ...process.env, TAILRACE_TEST_MOSQUITTO: undefined },
    settings: () => ['max_queued_messages 100000', 'autosave_on_changes true', 'autosave_interval 1'],
  });
  t.after(() => mosquitto.stop());
  const dir = await createTempDir('bridge-kafka');
  t.after(() => dir.remove());
  const mqttBridgesFile = join(dir.path, 'bridges.json');
  await writeFile(
    mqttBridgesFile,
    JSON.stringify({
      bridges: [
        {
          ...{
            name: 'plant',
            url: `mqtt://127.0.0.1:${mosquitto.port}`,
            publish: ['plant1.>'],
            receiveMaximum,
            share: '',
            node: 'ingest-0',
          },
          // Not shared: Mosquitto 2.0.11 forgets a shared subscription with a resumed session, until it is made again.
          subscriptions: [{ filter: 'plant/+', map: { payload: 'json', device: 'plant1.{2}', id: '/id' } }],
        },
      ],
    }),
  );
  const prefix = `bridge-${process.pid}`;
  const start = async () => {
    const service = await startService({
      args: [main],
      env: {
        TAILRACE_TOKEN_SECRET: tokenSecret,
        TAILRACE_HOST: '127.0.0.1',
        TAILRACE_PORT: '0',
        TAILRACE_INTERNAL_HOST: '127.0.0.1',
        TAILRACE_INTERNAL_PORT: '0',
        TAILRACE_NODE: 'ingest-0',
        TAILRACE_BUS: 'none',
        TAILRACE_KAFKA_BROKERS: kafka.brokers.join(','),
        TAILRACE_TOPIC_PREFIX: prefix,
        TAILRACE_TELEMETRY_PARTITIONS: '4',
        TAILRACE_MQTT_BRIDGES_FILE: mqttBridgesFile,
      },
    });
    t.after(() => service.kill());
    return service;
  };
  const isConnected = /connected to the broker/;

  let ingest = await start();
  await ingest.line(isConnected);
  const sender = new Publisher({ host: '127.0.0.1', port: mosquitto.port });
  t.after(() => sender.stop());
  let sent = 0;
  const send = (count: number) => {
    for (let index = 0; index < count; index++, sent++)
      sender.publish(`plant/press${sent % 7}`, JSON.stringify({ id: `m${sent}`, value: sent }));
  };
  const acknowledged = (count: number) =>
    eventually(() => sender.acknowledged.length >= count, { deadlineMs: 20_000, describe: `${count} acknowledged` });

  send(500);
  await acknowledged(150);
  await ingest.kill();
  await acknowledged(500);
  ingest = await start();
  await ingest.line(isConnected);
  // In the middle of what it has queued. Its sender is idle, so that all of it is on the disk of the broker.
  await mosquitto.kill();
  await mosquitto.restart();
  send(500);
  await acknowledged(700);
  await kafka.kill();
  await acknowledged(1_000);
  await kafka.restart();

  const eventLog = new KafkaEventLog({ brokers: kafka.brokers, prefix, logger: silentLogger });
  await eventLog.start();
  t.after(() => eventLog.close());
  const ids = async () => (await loggedReports(eventLog, `${prefix}.telemetry`)).map(({ id }) => id!);
  const found = await eventually(
    async () => {
      const all = await ids();
      assert.equal(new Set(all).size, 1_000);
      return all;
    },
    { deadlineMs: 30_000, pollMs: 200 },
  );
  const twice = found.length - 1_000;
  t.diagnostic(
    `sent ${sent}, acknowledged by the broker ${sender.acknowledged.length}, in the log 1000, again ${twice}`,
  );
  // What the kills repeat: messages in progress at the kill of ingest, and those that the broker did not know to be
  // acknowledged when it was killed. Appends in progress at the kill of Kafka are repeated, too.
  assert.ok(twice <= 4 * receiveMaximum, `${twice} are in the log again`);
  assert.deepEqual(await ingest.stop(), { code: 0, signal: null });
});
