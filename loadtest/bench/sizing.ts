/**
 * `make sizing`: measures the load that one node carries, prints the rule for the number of nodes, and writes it into
 * docs/OPERATIONS.md. Needs a machine without other load; takes some five minutes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { withGeneratedPart } from '../../scripts/generated-text.ts';
import { type Rig, withRig } from './brokers.ts';
import { settled } from './by-key.ts';
import { type Child, median } from './child.ts';
import { benchConnections } from './connections.ts';
import { benchDevices } from './devices.ts';
import { benchIngest } from './ingest.ts';
import type { Row } from './row.ts';
import { type Costs, sizingText } from './sizing-text.ts';

const page = join(import.meta.dirname, '../../docs/OPERATIONS.md');
const iterations = 3;
const seconds = 5;
const partitions = 12;
const readings = 8;

interface Load {
  readonly devices: number;
  readonly perSecond: number;
  /** Clients a device. */
  readonly sockets: number;
}

/** No clients; one client for each device; many clients for few devices. */
const unwatched: Load = { devices: 4_000, perSecond: 8_000, sockets: 0 };
const single: Load = { devices: 4_000, perSecond: 8_000, sockets: 1 };
const shared: Load = { devices: 10, perSecond: 200, sockets: 200 };

/** CPU seconds of a node a second, at a load. */
async function usedBy(rig: Rig, sender: Child, load: Load): Promise<number> {
  const server = rig.child('node-server.ts');
  const watchers = rig.child('watchers.ts');
  try {
    const settings = { flushMs: 20, telemetryPartitions: partitions, connectionsMax: 15_000 };
    const { broker, nats } = rig;
    const { port, token } = await server.ask<{ port: number; token: string }>('start', {
      node: 'node-0',
      broker,
      nats,
      settings,
    });
    const { devices, perSecond, sockets } = load;
    if (sockets > 0) await watchers.ask('openPlaced', { ports: [port], token, shift: 0, devices, sockets });
    await sender.ask('run', { devices, perSecond, seconds: 3, readings });
    await watchers.ask('reset');
    const before = await server.ask<{ cpu: number }>('cpu');
    const { sent } = await sender.ask<{ sent: number }>('run', { devices, perSecond, seconds, readings });
    await settled(watchers, sent * sockets);
    return ((await server.ask<{ cpu: number }>('cpu')).cpu - before.cpu) / seconds;
  } finally {
    await Promise.all([server, watchers].map((child) => child.end()));
  }
}

async function fanoutCosts(): Promise<Pick<Costs, 'report' | 'frame' | 'delivery'>> {
  return await withRig(partitions, async (rig) => {
    const sender = rig.child('device-sender.ts');
    await sender.ask('start', { broker: rig.broker });
    const used = async (load: Load) => {
      const all: number[] = [];
      for (let iteration = 0; iteration < iterations; iteration++) all.push(await usedBy(rig, sender, load));
      return median(all);
    };
    const report = (await used(unwatched)) / unwatched.perSecond;
    const frame = (await used(single)) / single.perSecond - report;
    const spread = (await used(shared)) - shared.perSecond * (report + frame);
    return { report, frame, delivery: Math.max(0, spread) / (shared.perSecond * (shared.sockets - 1)) };
  });
}

function measuredIn(rows: readonly Row[]): number {
  const value = rows.find((row) => row.value !== undefined)?.value;
  if (value === undefined) throw new RangeError('bench: expected a row with a value, got none');
  return value;
}

const printStep = (what: string) => process.stderr.write(`${what} …\n`);
printStep('fan-out');
const fanout = await fanoutCosts();
printStep('connections');
const connectionKilobytes = measuredIn(await benchConnections());
printStep('devices');
const deviceKilobytes = measuredIn(await benchDevices());
printStep('ingest');
const ingestReadings = measuredIn(await benchIngest());
const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, Node ${process.version}`;
const text = sizingText({ ...fanout, connectionKilobytes, deviceKilobytes, ingestReadings }, readings, machine);
process.stdout.write(`${text}\n`);
writeFileSync(page, withGeneratedPart(readFileSync(page, 'utf8'), 'make sizing', text));
process.exit(0);
