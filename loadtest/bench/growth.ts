import { type Rig, withRig } from './brokers.ts';
import { settled } from './by-key.ts';
import { type Child, median } from './child.ts';
import type { Row } from './row.ts';

const iterations = 3;
const seconds = 5;
const partitions = 12;

interface Load {
  readonly nodes: number;
  readonly devices: number;
  readonly perSecond: number;
  /** Clients a device. */
  readonly sockets: number;
}

/** Pairs of a load and one that is larger in one way. The cost of a delivery must stay the same. */
const pairs: readonly (readonly [string, Load, Load])[] = [
  [
    'deliveries × 10: from 20 to 200 clients a device',
    { nodes: 1, devices: 10, perSecond: 200, sockets: 20 },
    { nodes: 1, devices: 10, perSecond: 200, sockets: 200 },
  ],
  [
    'devices × 10, at a report a second each: from 800 to 8,000',
    { nodes: 1, devices: 800, perSecond: 800, sockets: 1 },
    { nodes: 1, devices: 8_000, perSecond: 8_000, sockets: 1 },
  ],
  [
    'nodes × 2, each with 3,000 devices at a report a second',
    { nodes: 1, devices: 3_000, perSecond: 3_000, sockets: 1 },
    { nodes: 2, devices: 6_000, perSecond: 6_000, sockets: 1 },
  ],
];

/** How the CPU of all nodes a delivery changes as the load grows. */
export async function benchGrowth(): Promise<Row[]> {
  return await withRig(partitions, async (rig) => {
    const sender = rig.child('device-sender.ts');
    await sender.ask('start', { broker: rig.broker });
    const rows: Row[] = [];
    for (const [what, small, large] of pairs) {
      const costs: [number[], number[]] = [[], []];
      for (let iteration = 0; iteration < iterations; iteration++) {
        costs[0].push(await cost(rig, sender, small));
        costs[1].push(await cost(rig, sender, large));
      }
      const [before, after] = [median(costs[0]), median(costs[1])];
      rows.push({
        what: `growth, ${what}: CPU of all nodes a delivery`,
        ours: `${after.toFixed(2)} µs`,
        against: `before: ${before.toFixed(2)} µs`,
        result: (after / before).toFixed(2),
        target: '≤ 1.10',
        met: after / before <= 1.1,
      });
    }
    return rows;
  });
}

async function cost(rig: Rig, sender: Child, load: Load): Promise<number> {
  const servers = Array.from({ length: load.nodes }, () => rig.child('node-server.ts'));
  const watchers = rig.child('watchers.ts');
  try {
    const settings = { flushMs: 20, telemetryPartitions: partitions, connectionsMax: 15_000 };
    const { broker, nats } = rig;
    const started: { port: number; token: string }[] = [];
    for (const [i, server] of servers.entries())
      started.push(await server.ask('start', { node: `node-${i}`, broker, nats, settings }));
    const ports = started.map(({ port }) => port);
    const { devices, perSecond, sockets } = load;
    await watchers.ask('openPlaced', { ports, token: started[0]!.token, shift: 0, devices, sockets });
    await sender.ask('run', { devices, perSecond, seconds: 3, readings: 8 });
    await watchers.ask('reset');
    const before = await cpuOf(servers);
    const { sent } = await sender.ask<{ sent: number }>('run', { devices, perSecond, seconds, readings: 8 });
    const counted = await settled(watchers, sent * sockets);
    return (((await cpuOf(servers)) - before) * 1e6) / counted.reports;
  } finally {
    await Promise.all([...servers, watchers].map((child) => child.end()));
  }
}

async function cpuOf(servers: readonly Child[]): Promise<number> {
  let sum = 0;
  for (const server of servers) sum += (await server.ask<{ cpu: number }>('cpu')).cpu;
  return sum;
}
