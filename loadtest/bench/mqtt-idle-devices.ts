import { setTimeout as sleep } from 'node:timers/promises';
import { TailraceError } from '@tailrace/protocol/error';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { DelayCounts } from '../devices/delay-counts.ts';
import type { WorkerResult } from '../devices/worker.ts';
import type { AckTimes } from './ack-times.ts';
import { type Child, startChild } from './child.ts';
import { type LoopDelay, loopDelayText } from './loop-delay.ts';
import { cpuSecondsOf, machineUse } from './machine-use.ts';
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
/** So that the devices' own collections of garbage take no processor from ingest: they share the machine. */
const loadOptions = ['--max-semi-space-size=64', '--initial-old-space-size=1024'];
/** Of the Kafka producer. */
const lingerMs = 3;
const settings = {
  ...unlimitedRates,
  ...{ mqttEnabled: true, mqttConnectionsMax: 2 * count, deviceSessionsPerIdentityMax: 2 * count },
};

/** The memory of an MQTT device that is connected, and the time to PUBACK while each reports once a second. */
export async function benchMqttSessions(): Promise<Row[]> {
  const kafka = await startKafka({ heapMb: 1_000, fullJit: true });
  try {
    return [await benchMemory(kafka), await benchTimeToAck(kafka)];
  } finally {
    await kafka.stop();
  }
}

async function benchMemory(kafka: KafkaBroker): Promise<Row> {
  const children = new Children();
  try {
    const server = children.start('ingest-server.ts', ['ours'], ['--expose-gc']);
    const [first, workers] = [children.worker(), children.workers()];
    const options = await startIngest(server, kafka);
    // They stay connected, so that one-time costs are not counted, nor memory that was freed.
    await connect(first, { ...options, prefix: 'first', count: firstCount });
    await sleep(2_000);
    const none = await used(server);
    await connectAll(workers, options);
    await sleep(3_000);
    const idle = await used(server);
    const kilobytes = (idle.rss - none.rss) / count / 1_024;
    const heapKilobytes = (idle.heap - none.heap) / count / 1_024;
    return {
      what: `memory of an idle MQTT device (RSS of ${(firstCount + count).toLocaleString('en')} less RSS of ${firstCount.toLocaleString('en')})`,
      ours: `${kilobytes.toFixed(1)} KB, of them ${heapKilobytes.toFixed(1)} KB of heap and buffers`,
      against: '',
      result: `${kilobytes.toFixed(1)} KB`,
      target: '≤ 6 KB',
      met: kilobytes <= 6,
      value: kilobytes,
    };
  } finally {
    await children.end();
  }
}

/**
 * In another process than the memory: a collection that is forced leaves so small a limit of the heap that the next
 * ones follow every few seconds, and each takes all processors for a tenth of a second.
 */
async function benchTimeToAck(kafka: KafkaBroker): Promise<Row> {
  const children = new Children();
  try {
    const server = children.start('ingest-server.ts', ['ours']);
    const [witness, workers] = [children.start('witness.ts'), children.workers()];
    await connectAll(workers, await startIngest(server, kafka));
    const run = (runSeconds: number) =>
      Promise.all(workers.map((each) => each.ask('run', { perSecond: count / workersMax, seconds: runSeconds })));
    await run(warmUpSeconds);
    for (const worker of workers) {
      await worker.ask('resetDelays');
      await worker.ask('startUse');
    }
    await server.ask('startAckTimes');
    await witness.ask('start');
    const [machineBefore, kafkaBefore] = [machineUse(), await cpuSecondsOf(kafka.pid)];
    await server.ask('startRun');
    await run(seconds);
    const { cpu } = await server.ask<{ cpu: number }>('endRun');
    const [machine, kafkaCpu] = [machineUse(), (await cpuSecondsOf(kafka.pid)) - kafkaBefore];
    const machineLate = await witness.ask<LoopDelay>('end');
    const ingest = await server.ask<AckTimes & { late: LoopDelay }>('endAckTimes');
    const load = await Promise.all(workers.map((worker) => worker.ask<{ cpu: number; late: LoopDelay }>('endUse')));
    const [acks, fromSend, toLog, inLog] = [new DelayCounts(), new DelayCounts(), new DelayCounts(), new DelayCounts()];
    toLog.addAll(ingest.toLog);
    inLog.addAll(ingest.inLog);
    let [sent, acknowledged] = [0, 0];
    for (const worker of workers) {
      const result = await worker.ask<WorkerResult>('finish', { graceMs: 10_000 });
      acks.addAll(result.ackDelays);
      fromSend.addAll(result.sentDelays);
      sent += result.sent;
      acknowledged += result.acknowledged;
    }
    const busy = (100 * (machine.busy - machineBefore.busy)) / (machine.total - machineBefore.total);
    const share = (used: number) => `${Math.round((100 * used) / seconds)} %`;
    // On a machine that is too slow for the load, the delays are those of a queue.
    const unanswered = acknowledged < sent ? `, ${sent - acknowledged} of ${sent} without a PUBACK` : '';
    const p99 = acks.percentile(0.99);
    return {
      what: `${count.toLocaleString('en')} MQTT devices at a report a second each, QoS 1, linger ${lingerMs} ms: from the time of a report to its PUBACK`,
      ours: [
        `${delayText(acks)}${unanswered}`,
        `from the call that sends it ${delayText(fromSend)}`,
        `in ingest from receipt to the call of the log ${delayText(toLog)}, then until it is in Kafka ${delayText(inLog)}`,
        `event loop late by ${loopDelayText(ingest.late)}; ${share(cpu)} of a processor`,
      ].join('; '),
      against: [
        `the devices: event loops late by ${load.map(({ late }) => loopDelayText(late)).join(' and ')}`,
        `${load.map((each) => share(each.cpu)).join(' and ')} of a processor, Kafka ${share(kafkaCpu)}`,
        `machine ${Math.round(busy)} % busy, an idle process late by ${loopDelayText(machineLate)}`,
      ].join('; '),
      result: `p99 ${p99.toFixed(1)} ms`,
      target: `≤ ${4 * lingerMs} ms, 4 × linger`,
      met: p99 <= 4 * lingerMs && acknowledged === sent,
    };
  } finally {
    await children.end();
  }
}

/** The processes of one measurement. */
class Children {
  readonly #started: Child[] = [];

  start(...args: Parameters<typeof startChild>): Child {
    const child = startChild(...args);
    this.#started.push(child);
    return child;
  }

  worker(): Child {
    return this.start('../devices/worker.ts', [], loadOptions);
  }

  workers(): readonly Child[] {
    return Array.from({ length: workersMax }, () => this.worker());
  }

  async end(): Promise<void> {
    for (const child of this.#started) await child.end();
  }
}

/** Returns what all devices need to connect. */
async function startIngest(
  server: Child,
  kafka: KafkaBroker,
): Promise<{ readonly url: string; readonly token: string }> {
  const facts = { broker: kafka.brokers[0]!, settings, hasAckTimes: true };
  const { mqttPort, token } = await server.ask<{ mqttPort: number; token: string }>('start', facts);
  return { url: `mqtt://127.0.0.1:${mqttPort}`, token };
}

async function connect(worker: Child, options: { url: string; token: string; prefix: string; count: number }) {
  const facts = { ...options, protocol: 'mqtt', readings: 1, hasIds: false, first: 0, connectingMax, inFlightMax: 64 };
  const { error } = await worker.ask<{ error?: string }>('connect', facts);
  if (error !== undefined) throw new TailraceError('internal', error);
}

async function connectAll(workers: readonly Child[], options: { url: string; token: string }): Promise<void> {
  await Promise.all(
    workers.map((worker, index) =>
      connect(worker, { ...options, prefix: `bench.p${index}`, count: count / workersMax }),
    ),
  );
}

async function used(server: Child): Promise<{ rss: number; heap: number }> {
  await server.ask('use');
  return await server.ask('use');
}

function delayText(delays: DelayCounts): string {
  return `p50 ${delays.percentile(0.5).toFixed(1)} ms, p99 ${delays.percentile(0.99).toFixed(1)} ms`;
}
