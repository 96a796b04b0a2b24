import { type Rig, withRig } from './brokers.ts';
import { type Child, percentile } from './child.ts';
import type { Row } from './row.ts';

const load = { devices: 10_000, perSecond: 10_000, clients: 2_000, each: 5, readings: 8, seconds: 12, partitions: 12 };

interface Outcome {
  readonly microseconds: number;
  readonly p50: number;
  readonly p99: number;
  readonly share: number;
}

/** 10,000 devices at a report a second, each watched by one of 2,000 clients: from a real Kafka to the socket. */
export async function benchByKey(): Promise<Row[]> {
  return await withRig(load.partitions, async (rig) => {
    const sender = rig.child('device-sender.ts');
    await sender.ask('start', { broker: rig.broker });
    const [slow, fast, bare] = [
      await runOne(rig, sender, 'node-server.ts', 20),
      await runOne(rig, sender, 'node-server.ts', 2),
      await runOne(rig, sender, 'by-key-bare.ts', 20),
    ];
    const what = `fan-out by key: ${load.devices.toLocaleString('en')} devices at 1 report/s of 512 B, ${load.clients.toLocaleString('en')} clients of ${load.each}`;
    const figuresOf = ({ microseconds, p50, p99 }: Outcome) =>
      `${microseconds.toFixed(1)} µs a message, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
    const row = (flushMs: number, ours: Outcome, micros: number, p50: number, p99: number): Row => ({
      what: `${what}, flushMs ${flushMs}`,
      ours: figuresOf(ours),
      against: `kafkajs loop with uWebSockets.js publish, 20 ms: ${figuresOf(bare)}`,
      result: `${ours.microseconds.toFixed(1)} µs, ${(ours.microseconds / bare.microseconds).toFixed(2)} of the loop, ${ours.p50.toFixed(1)} ms${ours.share < 1 ? `, ${(ours.share * 100).toFixed(2)} % came` : ''}`,
      target: `≤ ${micros} µs, p50 ≤ ${p50} ms${p99 === Number.POSITIVE_INFINITY ? '' : `, p99 ≤ ${p99} ms`}`,
      met: ours.microseconds <= micros && ours.p50 <= p50 && ours.p99 <= p99 && ours.share >= 1,
    });
    return [row(20, slow, 8, 15, 40), row(2, fast, 20, 3, Number.POSITIVE_INFINITY)];
  });
}

async function runOne(rig: Rig, sender: Child, script: string, flushMs: number): Promise<Outcome> {
  const server = rig.child(script);
  const watchers = rig.child('watchers.ts');
  try {
    const settings = { flushMs, telemetryPartitions: load.partitions, connectionsMax: 15_000 };
    const { broker, nats } = rig;
    const { port, token } = await server.ask<{ port: number; token: string }>('start', {
      ...{ node: `node-${flushMs}`, broker, nats, settings, flushMs },
    });
    await watchers.ask('open', {
      ...{ ports: [port], token, first: 0, count: load.clients, each: load.each, devices: load.devices },
      timedEvery: 20,
    });
    const { devices, perSecond, readings } = load;
    await sender.ask('run', { devices, perSecond, seconds: 4, readings });
    await watchers.ask('reset');
    const before = await server.ask<{ cpu: number }>('cpu');
    const { sent } = await sender.ask<{ sent: number }>('run', { devices, perSecond, seconds: load.seconds, readings });
    const counted = await settled(watchers, sent);
    const after = await server.ask<{ cpu: number }>('cpu');
    return {
      microseconds: ((after.cpu - before.cpu) * 1e6) / sent,
      p50: percentile(counted.delaysMs, 0.5),
      p99: percentile(counted.delaysMs, 0.99),
      share: counted.reports / sent,
    };
  } finally {
    await Promise.all([server.end(), watchers.end()]);
  }
}

interface Counted {
  readonly reports: number;
  readonly delaysMs: readonly number[];
}

/** What is on the way arrives. */
export async function settled(watchers: Child, expected: number): Promise<Counted> {
  for (let tries = 0; ; tries++) {
    const counted = await watchers.ask<Counted>('count');
    if (counted.reports >= expected || tries === 50) return counted;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
