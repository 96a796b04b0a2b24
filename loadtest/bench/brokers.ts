import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { createLogger } from '@tailrace/platform/logger';
import { startKafka } from '@tailrace/testkit/kafka';
import { startNats } from '@tailrace/testkit/nats';
import { type Child, startChild } from './child.ts';
import { telemetryTopic } from './node-options.ts';

/** Brokers and processes of one bench; all stop with it. */
export interface Rig {
  readonly broker: string;
  readonly nats: string;
  child(script: string, args?: readonly string[]): Child;
}

/** Runs a bench on a Kafka and a NATS of its own, with the telemetry topic made. */
export async function withRig<T>(partitions: number, run: (rig: Rig) => Promise<T>): Promise<T> {
  const kafka = await startKafka({ heapMb: 1_000, fullJit: true });
  const nats = await startNats();
  const children: Child[] = [];
  try {
    const broker = kafka.brokers[0]!;
    const eventLog = new KafkaEventLog({
      brokers: [broker],
      prefix: 'bench',
      logger: createLogger({ service: 'bench', level: 'warn' }),
    });
    await eventLog.start();
    const retention = { retentionMs: 3_600_000, retentionBytes: 1_073_741_824 };
    await eventLog.ensureTopic({ name: telemetryTopic, partitions, ...retention });
    await eventLog.close();
    return await run({
      broker,
      nats: nats.url,
      child(script, args = []) {
        const child = startChild(script, args);
        children.push(child);
        return child;
      },
    });
  } finally {
    for (const child of children) await child.end();
    await Promise.all([kafka.stop(), nats.stop()]);
  }
}
