import { startKafka } from '@tailrace/testkit/kafka';
import { type Child, median, startChild } from './child.ts';
import { load } from './ingest-load.ts';
import type { Row } from './row.ts';

const iterations = 3;
const readings = load.batches * load.reports * load.readings;

/**
 * Readings acknowledged per CPU-second of the server: HTTP with JSON to Kafka, against a bare kafkajs producer that has
 * its records ready.
 */
export async function benchIngest(): Promise<Row[]> {
  const kafka = await startKafka({ heapMb: 1_000, fullJit: true });
  const children: Child[] = [];
  try {
    const [ours, bare, sender] = [
      startChild('ingest-server.ts', ['ours']),
      startChild('ingest-server.ts', ['bare']),
      startChild('ingest-sender.ts'),
    ];
    children.push(ours, bare, sender);
    const broker = kafka.brokers[0];
    const { port, token } = await ours.ask<{ port: number; token: string }>('start', { broker });
    await bare.ask('start', { broker });
    // A warm-up for the compilers.
    await sender.ask('run', { port, token, batches: load.batches / 4 });
    await bare.ask('run', { batches: load.batches / 4 });
    const results = { ours: [] as number[], bare: [] as number[] };
    for (let iteration = 0; iteration < iterations; iteration++) {
      await ours.ask('startRun');
      await sender.ask('run', { port, token, batches: load.batches });
      results.ours.push((await ours.ask<{ cpu: number }>('endRun')).cpu);
      results.bare.push((await bare.ask<{ cpu: number }>('run', { batches: load.batches })).cpu);
    }
    const perSecond = (cpu: readonly number[]) => readings / median(cpu);
    const ratio = perSecond(results.ours) / perSecond(results.bare);
    return [
      {
        what: `ingest to Kafka: JSON over HTTP, batches of ${load.reports} reports of ${load.readings} readings`,
        ours: `${thousands(perSecond(results.ours))} readings a CPU-second`,
        against: `bare kafkajs producer, records ready: ${thousands(perSecond(results.bare))}`,
        result: ratio.toFixed(2),
        target: '≥ 0.50 of bare',
        met: ratio >= 0.5,
        value: perSecond(results.ours),
      },
    ];
  } finally {
    for (const child of children) await child.end();
    await kafka.stop();
  }
}

function thousands(count: number): string {
  return `${Math.round(count / 1_000).toLocaleString('en')},000`;
}
