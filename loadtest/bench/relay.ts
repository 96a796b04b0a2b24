import { type Rig, withRig } from './brokers.ts';
import { settled } from './by-key.ts';
import { type Child, median } from './child.ts';
import type { Row } from './row.ts';

const iterations = 3;
const partitions = 12;
const loads = [
  { sockets: 50, devices: 40, perSecond: 400 },
  { sockets: 1, devices: 2_000, perSecond: 4_000 },
] as const;
const seconds = 6;

interface Node {
  readonly server: Child;
  readonly port: number;
  readonly token: string;
}

/**
 * Two nodes; the same clients on the node that owns what they watch, and on the other one. CPU of both nodes together.
 */
export async function benchRelay(): Promise<Row[]> {
  return await withRig(partitions, async (rig) => {
    const sender = rig.child('device-sender.ts');
    await sender.ask('start', { broker: rig.broker });
    const nodes: Node[] = [];
    for (const node of ['node-0', 'node-1']) nodes.push(await startNode(rig, node));
    const rows: Row[] = [];
    for (const load of loads) {
      const local: number[] = [];
      const relayed: number[] = [];
      for (let iteration = 0; iteration < iterations; iteration++) {
        local.push(await runOne(rig, sender, nodes, load, 0));
        relayed.push(await runOne(rig, sender, nodes, load, 1));
      }
      const [here, there] = [median(local), median(relayed)];
      rows.push({
        what: `relay: ${load.perSecond.toLocaleString('en')} reports/s of ${load.devices.toLocaleString('en')} devices, ${load.sockets} client${load.sockets > 1 ? 's' : ''} a device, CPU of both nodes a delivery`,
        ours: `relayed ${there.toFixed(2)} µs`,
        against: `local: ${here.toFixed(2)} µs`,
        result: (there / here).toFixed(2),
        target: '≤ 1.3 × local',
        met: there / here <= 1.3,
      });
    }
    return rows;
  });
}

async function startNode(rig: Rig, node: string): Promise<Node> {
  const server = rig.child('node-server.ts');
  const settings = { flushMs: 20, telemetryPartitions: partitions, connectionsMax: 15_000 };
  const { broker, nats } = rig;
  const { port, token } = await server.ask<{ port: number; token: string }>('start', { node, broker, nats, settings });
  return { server, port, token };
}

/** Clients on the owner of their device (`shift` 0), or on the other node (1). Resolves with µs a delivered report. */
async function runOne(
  rig: Rig,
  sender: Child,
  nodes: readonly Node[],
  load: (typeof loads)[number],
  shift: number,
): Promise<number> {
  const watchers = rig.child('watchers.ts');
  try {
    await watchers.ask('openPlaced', {
      ...{ ports: nodes.map((node) => node.port), token: nodes[0]!.token, shift },
      ...{ devices: load.devices, sockets: load.sockets },
    });
    const { devices, perSecond } = load;
    await sender.ask('run', { devices, perSecond, seconds: 2, readings: 8 });
    await watchers.ask('reset');
    const before = await cpuOf(nodes);
    const { sent } = await sender.ask<{ sent: number }>('run', { devices, perSecond, seconds, readings: 8 });
    const counted = await settled(watchers, sent * load.sockets);
    return (((await cpuOf(nodes)) - before) * 1e6) / counted.reports;
  } finally {
    await watchers.ask('close');
    await watchers.end();
  }
}

async function cpuOf(nodes: readonly Node[]): Promise<number> {
  let sum = 0;
  for (const { server } of nodes) sum += (await server.ask<{ cpu: number }>('cpu')).cpu;
  return sum;
}
