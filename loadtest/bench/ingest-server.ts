/** The server of the ingest bench: ours (HTTP to Kafka), or a bare kafkajs producer with the same batches. */
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { createIngest } from '@tailrace/ingest/app';
import { bridgesFrom } from '@tailrace/ingest/bridge/bridges-file';
import { ingestSettings } from '@tailrace/ingest/config';
import { createHttpTransport } from '@tailrace/ingest/http-transport';
import { createMqttPorts } from '@tailrace/ingest/mqtt/mqtt-ports';
import { systemClock as clock } from '@tailrace/platform/clock';
import { createLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { z } from 'zod';
import { AckTimeRecorder } from './ack-times.ts';
import { answer, cpuSeconds } from './child.ts';
import { batchOf, load } from './ingest-load.ts';
import { endLoopDelay, startLoopDelay } from './loop-delay.ts';
import { createSwitchedTracing, type SwitchedTracing } from './switched-tracing.ts';

const tokenSecret = 'a key for the bench alone, on loopback';
const logger = createLogger({ service: 'bench', level: 'warn' });
/** A page of metrics costs some milliseconds of the processor that is measured. */
const untilPollMs = 50;
let run: (batches: number) => Promise<void>;
let tracing: SwitchedTracing | undefined;
let ackTimes: AckTimeRecorder;
const metrics = createMetrics({ service: 'ingest', node: 'bench' });

interface Start {
  /** Left out: the log in memory. */
  readonly broker?: string;
  readonly tracingUrl?: string;
  readonly settings?: object;
  /** The file of bridges. */
  readonly bridges?: object;
  /** Whether `ackTimes` is asked for: each message costs a little more then. */
  readonly hasAckTimes?: boolean;
}

interface Started {
  readonly port: number;
  readonly mqttPort: number;
  readonly token: string;
}

async function startOurs({ broker, tracingUrl, settings, bridges, hasAckTimes = false }: Start): Promise<Started> {
  const eventLog =
    broker === undefined
      ? createMemoryLog({ clock }).connect()
      : new KafkaEventLog({ brokers: [broker], prefix: 'ours', logger });
  await eventLog.start();
  if (hasAckTimes) ackTimes = new AckTimeRecorder(eventLog);
  const config = z.object(ingestSettings).parse({
    ...{ host: '127.0.0.1', port: 0, tokenSecret, topicPrefix: 'ours', telemetryPartitions: load.partitions },
    ...(broker === undefined && { retentionMs: 60_000, retentionBytes: 1_048_576 }),
    ...{ mqttPort: 0, ...settings },
  });
  tracing = await createSwitchedTracing('ingest', tracingUrl);
  const transport = createHttpTransport({ config, clock, logger });
  const mqttPorts = createMqttPorts(config, clock, logger);
  const ingest = createIngest({
    ...{ eventLog, clock, logger, metrics, tracing, transport, mqttPorts, config },
    ...(bridges !== undefined && { bridges: bridgesFrom(JSON.stringify(bridges)) }),
  });
  await ingest.start();
  const token = await issueToken({
    secret: tokenSecret,
    subject: 'bench',
    publish: ['>'],
    subscribe: [],
    expiresInMs: 3_600_000,
    clock,
  });
  return { port: ingest.port, mqttPort: mqttPorts.port, token };
}

async function startBare({ broker = '' }: Start): Promise<Started> {
  const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.ERROR });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: 'bare', numPartitions: load.partitions }] });
  await admin.disconnect();
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  const messages = batchOf(Date.now()).map((report) => ({
    key: report.device,
    value: Buffer.from(encodeReport(report, report.time)),
  }));
  run = async (batches) => {
    let left = batches;
    const worker = async () => {
      while (left-- > 0) await producer.send({ topic: 'bare', messages, acks: -1 });
    };
    await Promise.all(Array.from({ length: load.concurrency }, worker));
  };
  return { port: 0, mqttPort: 0, token: '' };
}

let before = 0;
answer({
  start: (facts: Start) => (process.argv[2] === 'ours' ? startOurs(facts) : startBare(facts)),
  startRun: ({ traced = false }: { traced?: boolean }) => {
    if (tracing !== undefined) tracing.enabled = traced;
    before = cpuSeconds();
  },
  endRun: () => ({ cpu: cpuSeconds() - before }),
  run: async ({ batches }: { batches: number }) => {
    before = cpuSeconds();
    await run(batches);
    return { cpu: cpuSeconds() - before };
  },
  /** Memory after a collection, bytes. */
  use: () => {
    (globalThis as { gc?: () => void }).gc?.();
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
    return { rss, heap: heapUsed + arrayBuffers };
  },
  /** Answers with the sum of the series that start so. */
  metric: async ({ series }: { series: string }) => ({ value: await metricOf(series) }),
  startAckTimes: () => {
    ackTimes.take();
    startLoopDelay();
  },
  endAckTimes: () => ({ ...ackTimes.take(), late: endLoopDelay() }),
  /** Answers when the sum has reached a value. */
  until: async ({ series, value }: { series: string; value: number }) => {
    while ((await metricOf(series)) < value) await clock.sleep(untilPollMs);
    return { cpu: cpuSeconds() - before };
  },
});

async function metricOf(series: string): Promise<number> {
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith(series));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
