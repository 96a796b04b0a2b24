import { setTimeout as sleep } from 'node:timers/promises';
import { TailraceError } from '@tailrace/protocol/error';
import { startKafka } from '@tailrace/testkit/kafka';
import { DelayCounts } from '../devices/delay-counts.ts';
import type { WorkerResult } from '../devices/worker.ts';
import { type Child, startChild } from './child.ts';
import { unlimitedRates } from './mqtt.ts';
import type { Row } from './row.ts';

const count = 10_000;
/** Processes of devices: each has a socket for each of its devices. */
const workersMax = 2;
/** Devices that are connected before memory is measured. */
const firstCount = 1_000;
const connectingMax = 32;
const warmUpSeconds = 10;
const seconds = 30;
/** Of the Kafka producer. */
const lingerMs = 3;
const settings = {
  ...unlimitedRates,
  ...{ mqttEnabled: true, mqttConnectionsMax: 2 * count, deviceSessionsPerIdentityMax: 2 * count },
};

/** The memory of an MQTT device that is connected, and the time to PUBACK while each reports once a second. */
export async function benchMqttSessions(): Promise<Row[]> {
  const kafka = await startKafka({ heapMb: 1_000, fullJit: true });
  const server = startChild('ingest-server.ts', ['ours'], ['--expose-gc']);
  const [first, ...workers] = Array.from({ length: 1 + workersMax }, () => startChild('../devices/worker.ts')) as [
    Child,
    ...Child[],
  ];
  try {
    const broker = kafka.brokers[0]!;
    const { mqttPort, token } = await server.ask<{ mqttPort: number; token: string }>('start', { broker, settings });
    const options = { protocol: 'mqtt', url: `mqtt://127.0.0.1:${mqttPort}`, token, readings: 1, hasIds: false };
    const connect = async (worker: Child, prefix: string, devices: number) => {
      const facts = { ...options, prefix, first: 0, count: devices, connectingMax, inFlightMax: 64 };
      const { error } = await worker.ask<{ error?: string }>('connect', facts);
      if (error !== undefined) throw new TailraceError('internal', error);
    };
    // They stay connected, so that one-time costs are not counted, nor memory that was freed.
    await connect(first, 'first', firstCount);
    await sleep(2_000);
    const none = await used(server);
    await Promise.all(workers.map((worker, index) => connect(worker, `bench.p${index}`, count / workersMax)));
    await sleep(3_000);
    const idle = await used(server);
    const kilobytes = (idle.rss - none.rss) / count / 1_024;
    const heapKilobytes = (idle.heap - none.heap) / count / 1_024;
    await first.ask('close');

    const run = (runSeconds: number) =>
      Promise.all(workers.map((each) => each.ask('run', { perSecond: count / workersMax, seconds: runSeconds })));
    await run(warmUpSeconds);
    await Promise.all(workers.map((worker) => worker.ask('resetDelays')));
    const before = await ackBounds(server);
    await server.ask('startRun');
    await run(seconds);
    const { cpu } = await server.ask<{ cpu: number }>('endRun');
    const [acks, timers] = [new DelayCounts(), new DelayCounts()];
    const inIngest = boundOfP99(before, await ackBounds(server));
    let [sent, acknowledged] = [0, 0];
    for (const worker of workers) {
      const result = await worker.ask<WorkerResult>('finish', { graceMs: 10_000 });
      acks.addAll(result.ackDelays);
      timers.addAll(result.timerDelays);
      sent += result.sent;
      acknowledged += result.acknowledged;
    }
    // On a machine that is too slow for the load, the delays are those of a queue.
    const unanswered = acknowledged < sent ? `, ${sent - acknowledged} of ${sent} without a PUBACK` : '';
    const p99 = acks.percentile(0.99);
    return [
      {
        what: `memory of an idle MQTT device (RSS of ${(firstCount + count).toLocaleString('en')} less RSS of ${firstCount.toLocaleString('en')})`,
        ours: `${kilobytes.toFixed(1)} KB, of them ${heapKilobytes.toFixed(1)} KB of heap and buffers`,
        against: '',
        result: `${kilobytes.toFixed(1)} KB`,
        target: '≤ 6 KB',
        met: kilobytes <= 6,
        value: kilobytes,
      },
      {
        what: `${count.toLocaleString('en')} MQTT devices at a report a second each, QoS 1, linger ${lingerMs} ms: from the time of a report to its PUBACK`,
        ours: `p50 ${acks.percentile(0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms; ${Math.round((100 * cpu) / seconds)} % of a CPU${unanswered}; in ingest, from receipt, p99 ${inIngest}`,
        against: `timers of the devices late by p99 ${timers.percentile(0.99).toFixed(1)} ms`,
        result: `p99 ${p99.toFixed(1)} ms`,
        target: `≤ ${4 * lingerMs} ms, 4 × linger`,
        met: p99 <= 4 * lingerMs && acknowledged === sent,
      },
    ];
  } finally {
    for (const child of [server, first, ...workers]) await child.end();
    await kafka.stop();
  }
}

async function used(server: Child): Promise<{ rss: number; heap: number }> {
  await server.ask('use');
  return await server.ask('use');
}

type Bounds = readonly (readonly [boundSeconds: number | null, count: number])[];

function ackBounds(server: Child): Promise<Bounds> {
  return server.ask('histogram', { name: 'tailrace_ingest_ack_duration_seconds', label: 'protocol="mqtt"' });
}

/** Returns the smallest bound of the histogram that 99 % of the messages between two readings of it do not exceed. */
function boundOfP99(before: Bounds, after: Bounds): string {
  const counts = after.map(([bound, count], index) => [bound, count - (before[index]?.[1] ?? 0)] as const);
  const total = counts.at(-1)?.[1] ?? 0;
  const bound = counts.find(([, count]) => count >= 0.99 * total)?.[0];
  return bound === undefined || bound === null ? 'above the last bound' : `≤ ${bound * 1_000} ms`;
}
