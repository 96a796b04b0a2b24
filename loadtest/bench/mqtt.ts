import { TailraceError } from '@tailrace/protocol/error';
import { startKafka } from '@tailrace/testkit/kafka';
import { type Mosquitto, startMosquitto } from '@tailrace/testkit/mosquitto';
import { type Child, median, startChild } from './child.ts';
import type { Row } from './row.ts';

const iterations = 3;
const messages = 60_000;
const naiveMessages = 5_000;
const devices = 50;
const inFlightMax = 64;
const taken = 'tailrace_ingest_bridge_messages_total{bridge="bench",outcome="accepted"';
/** No device and no tenant is held back by its rate. */
export const unlimitedRates = {
  ...{ deviceMessagesPerSecond: 1e6, deviceMessagesBurst: 1e7 },
  ...{ tenantMessagesPerSecond: 1e6, tenantMessagesBurst: 1e7 },
} as const;

/**
 * MQTT at QoS 1, acknowledged when Kafka has the report: of devices at our port, and of a Mosquitto by one connection.
 * Against a bridge of MQTT.js with one `send` of kafkajs for each message.
 */
export async function benchMqtt(): Promise<Row[]> {
  const kafka = await startKafka({ heapMb: 1_000, fullJit: true });
  const mosquitto = await startMosquitto({ settings: () => ['max_queued_messages 0'] });
  const children: Child[] = [];
  const child = (...args: Parameters<typeof startChild>) => {
    const started = startChild(...args);
    children.push(started);
    return started;
  };
  try {
    const [listener, bridge, naive] = [
      child('ingest-server.ts', ['ours']),
      child('ingest-server.ts', ['ours']),
      child('naive-bridge.ts'),
    ];
    const broker = kafka.brokers[0]!;
    const url = `mqtt://${mosquitto.host}:${mosquitto.port}`;
    const settings = { ...unlimitedRates, mqttEnabled: true };
    const { mqttPort, token } = await listener.ask<{ mqttPort: number; token: string }>('start', { broker, settings });
    await bridge.ask('start', { broker, bridges: bridgesTo(mosquitto) });
    await naive.ask('start', { broker, url, filter: 'naive/+/telemetry' });
    const [sender, publisher, naivePublisher] = [
      await connected(child, `mqtt://127.0.0.1:${mqttPort}`, 'bench', token),
      await connected(child, url, 'bench', ''),
      await connected(child, url, 'naive', ''),
    ];
    const results = { listener: [] as number[], bridge: [] as number[], rate: [] as number[], naive: [] as number[] };
    const naiveRate: number[] = [];
    // The first iteration is a warm-up for the compilers.
    for (let iteration = 0; iteration <= iterations; iteration++) {
      await listener.ask('startRun');
      await sender.ask('flood', { total: messages });
      const { cpu } = await listener.ask<{ cpu: number }>('endRun');
      await assertAccepted(listener, messages * (iteration + 1));
      const ours = await queued(bridge, publisher, messages, { series: taken }, iteration);
      const bare = await queued(naive, naivePublisher, naiveMessages, {}, iteration);
      if (iteration === 0) continue;
      results.listener.push(messages / cpu);
      results.bridge.push(ours.perCpuSecond);
      results.rate.push(ours.perSecond);
      results.naive.push(bare.perCpuSecond);
      naiveRate.push(bare.perSecond);
    }
    const [atListener, perSecond] = [median(results.listener), median(results.rate)];
    const ratio = atListener / median(results.naive);
    return [
      {
        what: `MQTT at QoS 1 from ${devices} devices, each report of one reading acknowledged when Kafka has it`,
        ours: `${whole(atListener)} messages a CPU-second`,
        against: `MQTT.js bridge with one kafkajs \`send\` each: ${whole(median(results.naive))}`,
        result: `${whole(atListener)}, ${ratio.toFixed(1)} × the bridge`,
        target: '≥ 25,000 a CPU-second, ≥ 3 × the bridge',
        met: atListener >= 25_000 && ratio >= 3,
        value: atListener,
      },
      {
        what: 'bridge from Mosquitto on one connection, QoS 1, each message acknowledged when Kafka has it',
        ours: `${whole(perSecond)} messages/s, ${whole(median(results.bridge))} a CPU-second`,
        against: `MQTT.js bridge with one kafkajs \`send\` each: ${whole(median(naiveRate))} messages/s`,
        result: `${whole(perSecond)} messages/s`,
        target: '≥ 10,000 messages/s',
        met: perSecond >= 10_000,
      },
    ];
  } finally {
    for (const each of children) await each.end();
    await Promise.all([kafka.stop(), mosquitto.stop()]);
  }
}

/** Throws unless so many messages of devices are in Kafka: one that is refused is acknowledged, too. */
async function assertAccepted(server: Child, count: number): Promise<void> {
  const series = 'tailrace_ingest_messages_total{protocol="mqtt",outcome="accepted"';
  const { value } = await server.ask<{ value: number }>('metric', { series });
  if (value !== count) throw new TailraceError('internal', `accepted messages: expected ${count}, got ${value}`);
}

/** Starts devices that send to a port. */
async function connected(child: typeof startChild, url: string, prefix: string, token: string): Promise<Child> {
  const sender = child('../devices/worker.ts');
  const options = { protocol: 'mqtt', url, token, prefix, first: 0, count: devices, connectingMax: 16 };
  await sender.ask('connect', { ...options, readings: 1, hasIds: false, inFlightMax });
  return sender;
}

/** Queues messages in the broker while the bridge is stopped, and measures how fast it takes them. */
async function queued(
  bridge: Child,
  publisher: Child,
  total: number,
  facts: object,
  iteration: number,
): Promise<{ perSecond: number; perCpuSecond: number }> {
  await bridge.ask('startRun');
  bridge.signal('SIGSTOP');
  await publisher.ask('flood', { total });
  const startMs = performance.now();
  bridge.signal('SIGCONT');
  const { cpu } = await bridge.ask<{ cpu: number }>('until', { ...facts, value: total * (iteration + 1) });
  return { perSecond: total / ((performance.now() - startMs) / 1_000), perCpuSecond: total / cpu };
}

function bridgesTo({ host, port }: Mosquitto): object {
  const map = { payload: 'report', device: 'bench.{2}' };
  const subscriptions = [{ filter: 'bench/+/telemetry', map }];
  return {
    bridges: [
      { name: 'bench', node: 'ingest', url: `mqtt://${host}:${port}`, share: '', publish: ['bench.>'], subscriptions },
    ],
  };
}

function whole(count: number): string {
  return Math.round(count).toLocaleString('en');
}
