import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { freePort } from '@tailrace/testkit/free-port';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { type ServiceProcess, startService } from '@tailrace/testkit/process';
import mqtt, { type MqttClient } from 'mqtt';
import { loggedReports, tokenFor, tokenSecret } from './ingest-fixture.ts';

let broker: KafkaBroker;
before(async () => {
  broker = await startKafka();
});
after(() => broker?.stop());

const main = join(import.meta.dirname, '../src/main.ts');
const inFlightMax = 40;

/** Sends messages with consecutive IDs, at most 40 without an acknowledgment, as long as it is not stopped. */
class Sender {
  readonly acknowledged = new Set<string>();
  /** Errors of messages that were sent again. */
  readonly refused: string[] = [];
  sent = 0;
  readonly #client: MqttClient;
  readonly #name: string;
  readonly #qos: 1 | 2;
  #isStopped = false;
  readonly #done = Promise.withResolvers<void>();

  constructor(port: number, token: string, qos: 1 | 2) {
    this.#qos = qos;
    this.#name = `q${qos}`;
    this.#client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
      ...{ clientId: this.#name, username: `plant1.${this.#name}`, password: token, protocolVersion: 5, clean: false },
      ...{ reconnectPeriod: 100, properties: { sessionExpiryInterval: 600 } },
    });
    this.#client.on('error', () => undefined);
    for (let slot = 0; slot < inFlightMax; slot++) this.#next();
  }

  /** Resolves when everything that was sent is acknowledged. */
  async finish(): Promise<void> {
    this.#isStopped = true;
    await this.#done.promise;
    await this.#client.endAsync(true);
  }

  #next(): void {
    if (this.#isStopped) {
      if (this.acknowledged.size === this.sent) this.#done.resolve();
      return;
    }
    this.#publish(`${this.#name}-${this.sent++}`);
  }

  #publish(id: string): void {
    const payload = JSON.stringify({ id, readings: [{ tag: 'n', value: 1 }] });
    this.#client.publish(`plant1/${this.#name}/telemetry`, payload, { qos: this.#qos }, (error) => {
      // After a kill the server does not know a packet identifier of QoS 2: PUBCOMP 0x92.
      if (error) {
        this.refused.push(error.message);
        this.#publish(id);
        return;
      }
      this.acknowledged.add(id);
      this.#next();
    });
  }
}

test('ingest is killed under load at QoS 1 and 2: every acknowledged message is in Kafka, and what was not acknowledged is sent again', {
  timeout: 60_000,
}, async (t) => {
  const [port, mqttPort] = [await freePort(), await freePort()];
  const topicPrefix = `mqtt-${process.pid}`;
  const env = {
    TAILRACE_TOKEN_SECRET: tokenSecret,
    TAILRACE_HOST: '127.0.0.1',
    TAILRACE_PORT: `${port}`,
    TAILRACE_INTERNAL_HOST: '127.0.0.1',
    TAILRACE_INTERNAL_PORT: '0',
    TAILRACE_KAFKA_BROKERS: broker.brokers.join(','),
    TAILRACE_TOPIC_PREFIX: topicPrefix,
    TAILRACE_TELEMETRY_PARTITIONS: '4',
    TAILRACE_MQTT_ENABLED: 'true',
    TAILRACE_MQTT_PORT: `${mqttPort}`,
    TAILRACE_DEVICE_MESSAGES_PER_SECOND: '100000',
    TAILRACE_DEVICE_MESSAGES_BURST: '100000',
  };
  const start = (): Promise<ServiceProcess> =>
    startService({ args: [main], env, ready: { line: /"message":"running"/ } });
  let service = await start();
  t.after(() => service.kill());
  const token = await tokenFor(['plant1.>']);
  const senders = [new Sender(mqttPort, token, 1), new Sender(mqttPort, token, 2)];
  for (let kills = 1; kills <= 2; kills++) {
    const before = senders.map(({ acknowledged }) => acknowledged.size);
    await eventually(() => senders.every(({ acknowledged }, index) => acknowledged.size >= before[index]! + 500), {
      deadlineMs: 30_000,
    });
    await service.kill();
    service = await start();
  }
  await Promise.all(senders.map((sender) => sender.finish()));
  assert.deepEqual(await service.stop(), { code: 0, signal: null });

  const reader = new KafkaEventLog({ brokers: broker.brokers, logger: silentLogger });
  await reader.start();
  t.after(() => reader.close());
  const ids = (await loggedReports(reader, `${topicPrefix}.telemetry`)).map(({ id }) => id!);
  const distinct = new Set(ids);
  for (const { acknowledged, sent } of senders) {
    assert.equal(acknowledged.size, sent);
    for (const id of acknowledged) assert.ok(distinct.has(id), `${id} is acknowledged and not in the log`);
  }
  const sent = senders.reduce((sum, each) => sum + each.sent, 0);
  // A record that was not acknowledged before the kill is sent again with its ID: fanout delivers it once.
  assert.ok(ids.length - distinct.size <= 2 * senders.length * inFlightMax, `${ids.length} of ${distinct.size}`);
  assert.equal(distinct.size, sent);
  const refused = senders.flatMap((each) => each.refused);
  t.diagnostic(
    `sent ${sent}, sent again ${refused.length} (${[...new Set(refused)].join()}), acknowledged ${sent}, records ${ids.length}, distinct ${distinct.size}`,
  );
});
