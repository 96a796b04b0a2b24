import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { startTcpProxy, type TcpProxy } from '@tailrace/testkit/tcp-proxy';
import { loggedReports, startIngest } from './ingest-fixture.ts';
import { Publisher } from './mqtt-publisher.ts';
import { loginDevice } from './raw-device.ts';

const appendDeadlineMs = 2_000;

let broker: KafkaBroker;
let proxy: TcpProxy;
/** What the broker receives of each connection. */
let bytesPerSecond = Number.POSITIVE_INFINITY;

// A broker of its own, behind a proxy that the tests make slow: they kill it.
before(async () => {
  proxy = await startTcpProxy({ target: () => ({ port: Number(broker.brokers[0]!.split(':')[1]) }), pass: passSlowly });
  broker = await startKafka({
    env: { ...process.env, TAILRACE_TEST_KAFKA: undefined, TAILRACE_TEST_BROKERS: 'local' },
    settings: { 'advertised.listeners': `PLAINTEXT://127.0.0.1:${proxy.port}` },
  });
});
after(async () => {
  await broker?.stop();
  await proxy?.close();
});

function passSlowly(client: Socket, server: Socket): void {
  server.pipe(client);
  client.on('data', (chunk) => {
    server.write(chunk);
    const waitMs = (chunk.length / bytesPerSecond) * 1_000;
    if (waitMs < 1) return;
    client.pause();
    setTimeout(() => client.resume(), waitMs);
  });
}

function kafkaLog(appendTimeoutMs = appendDeadlineMs): KafkaEventLog {
  return new KafkaEventLog({ brokers: broker.brokers, logger: silentLogger, appendTimeoutMs });
}

/**
 * The log takes 400 KB a second. Two noisy devices, one of each protocol, always have a megabyte that is not
 * acknowledged; each has a window of 64 KiB. A message of another device waits at most for what is on its way, and for
 * what is sent with it: two windows of each.
 */
test('beside noisy devices and a slow Kafka, a device waits for two windows of each, over WebSocket and MQTT', async (t) => {
  const windowBytes = 65_536;
  const noisyMessages = 256;
  const readings = [{ tag: 'n', value: 'x'.repeat(4_000) }];
  const noisyReport = JSON.stringify({ readings });
  const eventLog = kafkaLog(60_000);
  await eventLog.start();
  const { port, mqttPort, token, ingest, metric } = await startIngest(t, {
    eventLog,
    settings: {
      ...{ topicPrefix: 'fair', telemetryPartitions: 1, mqttEnabled: true, mqttPort: 0 },
      ...{ deviceWindowBytesMax: windowBytes, deviceMessageBytesMax: 16_384, appendDeadlineMs: 30_000 },
      ...{ deviceMessagesPerSecond: 100_000, deviceMessagesBurst: 100_000 },
      ...{ tenantMessagesPerSecond: 100_000, tenantMessagesBurst: 100_000 },
    },
  });
  const publisher = (device: string) =>
    new Publisher({ host: '127.0.0.1', port: mqttPort }, 5, { userName: device, password: Buffer.from(token) });
  const noisy = await loginDevice({ port, token, device: 'plant1.noisy1' });
  const noisyMqtt = publisher('plant1.noisy2');
  const honest = await loginDevice({ port, token, device: 'plant1.honest1' });
  const honestMqtt = publisher('plant1.honest2');
  let mqttNoise: NodeJS.Timeout | undefined;
  t.after(async () => {
    clearInterval(mqttNoise);
    bytesPerSecond = Number.POSITIVE_INFINITY;
    await Promise.all([noisyMqtt.stop(), honestMqtt.stop()]);
    for (const { socket } of [noisy, honest]) socket.close();
    await ingest.stop();
    await eventLog.close();
  });
  const measured = { webSocket: [] as number[], mqtt: [] as number[] };
  const byWebSocket = async (n: number) => {
    honest.status(`m${n}`, n);
    assert.equal(await honest.ack(60_000), `m${n} accepted`);
  };
  const byMqtt = async (n: number) => {
    honestMqtt.publish('plant1/honest2/telemetry/n', `${n}`);
    await honestMqtt.done();
  };
  await Promise.all([byWebSocket(-1), byMqtt(-1)]);

  bytesPerSecond = 400_000;
  const windowsMs = ((2 * windowBytes) / bytesPerSecond) * 1_000;
  let isNoisy = true;
  let noise = 0;
  const sendNoise = () => noisy.send({ type: 'status', msgid: `n${noise++}`, payload: { readings } });
  for (let n = 0; n < noisyMessages; n++) sendNoise();
  const answers = (async () => {
    while (isNoisy) {
      await noisy.next(60_000);
      sendNoise();
    }
  })();
  mqttNoise = setInterval(() => {
    while (noisyMqtt.unacknowledged < noisyMessages) noisyMqtt.publish('plant1/noisy2/telemetry', noisyReport);
  }, 20);
  const paused = 'tailrace_ingest_paused_sessions{cause="window"}';
  await eventually(async () => assert.ok((await metric(paused)) >= 1));
  const measure = async (into: number[], send: (n: number) => Promise<void>) => {
    for (let n = 0; n < 10; n++) {
      const startMs = performance.now();
      await send(n);
      into.push(performance.now() - startMs);
    }
  };
  await Promise.all([measure(measured.webSocket, byWebSocket), measure(measured.mqtt, byMqtt)]);
  assert.ok(noisyMqtt.unacknowledged > noisyMessages / 2);
  const noisyAcknowledged = noisyMqtt.acknowledged.length;
  isNoisy = false;
  clearInterval(mqttNoise);
  bytesPerSecond = Number.POSITIVE_INFINITY;
  await answers;

  assert.ok(noise > noisyMessages + 20, `${noise}: the noisy device is served, too`);
  assert.ok(noisyAcknowledged > 20, `${noisyAcknowledged}: and by MQTT`);
  for (const [protocol, times] of Object.entries(measured)) {
    const sorted = times.map(Math.round).sort((a, b) => a - b);
    t.diagnostic(`${protocol}: ${sorted} ms; the log takes a window of each noisy device in ${windowsMs} ms`);
    assert.ok(sorted[5]! <= 2 * windowsMs, `${protocol}: half within ${sorted[5]} ms`);
    // A pause of the machine counts once.
    assert.ok(sorted[8]! <= 4 * windowsMs, `${protocol}: nine of ten within ${sorted[8]} ms`);
  }
});

test('while Kafka is killed a device is refused and stays connected; what it sends again is acknowledged, and nothing acknowledged is missing', async (t) => {
  const eventLog = kafkaLog();
  await eventLog.start();
  const settings = { telemetryPartitions: 4, appendDeadlineMs };
  const { port, token, ingest } = await startIngest(t, { eventLog, settings });
  t.after(async () => {
    await ingest.stop();
    await eventLog.close();
  });
  const device = await loginDevice({ port, token });
  /** Sends until each message is accepted, as a device does. */
  const unanswered = new Map<string, number>();
  const acknowledged = new Map<string, string>();
  let refusals = 0;
  const send = (id: string, value: number) => {
    unanswered.set(id, value);
    device.status(id, value);
  };
  const receive = async () => {
    const { msgid, payload } = await device.next(15_000);
    if (payload.status !== 'rejected') {
      unanswered.delete(msgid!);
      acknowledged.set(msgid!, payload.status!);
      return;
    }
    refusals++;
    assert.equal(payload.retryable, true, JSON.stringify(payload));
    device.status(msgid!, unanswered.get(msgid!)!);
  };
  for (let index = 0; index < 20; index++) send(`before-${index}`, index);
  while (unanswered.size > 0) await receive();
  await broker.kill();
  for (let index = 0; index < 20; index++) send(`during-${index}`, index);
  // Each is refused at least once.
  while (refusals < 20) await receive();
  await broker.restart();
  while (unanswered.size > 0) await receive();
  assert.equal(acknowledged.size, 40);

  const reader = kafkaLog();
  await reader.start();
  t.after(() => reader.close());
  const logged = await eventually(async () => await loggedReports(reader), { deadlineMs: 30_000 });
  const ids = logged.map(({ id }) => id!);
  for (const id of acknowledged.keys()) assert.ok(ids.includes(id), `${id} is acknowledged and not in the log`);
  t.diagnostic(`sent 40, refused ${refusals} times, records ${ids.length}, distinct ${new Set(ids).size}`);
});
