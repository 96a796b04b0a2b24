import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TailraceError } from '@tailrace/protocol/error';
import { freePort } from '@tailrace/testkit/free-port';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { percentile, startChild } from './child.ts';
import { modbusTags, opcuaTags, sourcesText, written } from './edge-sources.ts';
import { type LoopDelay, loopDelayText } from './loop-delay.ts';
import { unlimitedRates } from './mqtt.ts';
import type { Row } from './row.ts';

const warmUpSeconds = 10;
const seconds = 20;
/** So many that the longest few are not the 99 %. */
const writes = 500;

interface Written {
  readonly device: string;
  readonly state: string;
  readonly message?: string;
  /** From the command to its answer. */
  readonly ms: number;
  /** From the command until it is on disk. */
  readonly storedMs: number;
}

interface Use {
  readonly cpu: number;
  readonly readings: number;
}

/**
 * The edge gateway: tags of OPC UA and Modbus that it reads, and sends to ingest, a CPU-second of its own; and the time
 * of a write with its read-back meanwhile.
 */
export async function benchEdge(): Promise<Row[]> {
  const dir = await createTempDir('bench-edge');
  const [server, edge, modbus, opcua] = [
    startChild('ingest-server.ts', ['ours']),
    startChild('edge-gateway.ts'),
    startChild('edge-machines.ts'),
    startChild('edge-machines.ts'),
  ];
  try {
    const opcuaPort = await freePort();
    const { port: modbusPort } = await modbus.ask<{ port: number }>('modbus');
    await opcua.ask('opcua', { port: opcuaPort, pki: join(dir.path, 'server') });
    const { port, token } = await server.ask<{ port: number; token: string }>('start', { settings: unlimitedRates });
    const paths = { storePath: join(dir.path, 'store'), pkiPath: join(dir.path, 'pki') };
    const settings = { edgePath: 'plant1.edge1', ingestUrl: `http://127.0.0.1:${port}`, token, ...paths };
    await edge.ask('start', { settings, sources: sourcesText(modbusPort, opcuaPort) });
    await sleep(warmUpSeconds * 1_000);
    const before = await edge.ask<Use>('use');
    await sleep(seconds * 1_000);
    const after = await edge.ask<Use>('use');
    const readings = after.readings - before.readings;
    const cpu = after.cpu - before.cpu;
    const perCore = readings / cpu;
    const all = [edge, modbus, opcua] as const;
    const times: Written[] = [];
    for (const each of all) await each.ask('startWrites');
    for (let index = 0; index < writes; index++) {
      const device = index % 2 === 0 ? written.modbus : written.opcua;
      const answer = await edge.ask<Written>('write', { id: `w${index}`, device, value: 1 + index });
      const { state, message } = answer;
      if (state !== 'done') throw new TailraceError('internal', `write: expected done, got ${state}: ${message}`);
      times.push({ ...answer, device });
      await sleep(20);
    }
    const [late, modbusLate, opcuaLate] = [
      await edge.ask<LoopDelay>('endWrites'),
      await modbus.ask<LoopDelay>('endWrites'),
      await opcua.ask<LoopDelay>('endWrites'),
    ];
    const p99 = percentile(
      times.map(({ ms }) => ms),
      0.99,
    );
    const p99Of = (device: string) =>
      percentile(
        times.filter((each) => each.device === device).map(({ ms, storedMs }) => ms - storedMs),
        0.99,
      );
    const stages = [
      `on disk p99 ${percentile(
        times.map(({ storedMs }) => storedMs),
        0.99,
      ).toFixed(1)} ms`,
      `then written and read back p99 ${p99Of(written.modbus).toFixed(1)} ms (Modbus), ${p99Of(written.opcua).toFixed(1)} ms (OPC UA)`,
    ].join(', ');
    const share = Math.round((100 * cpu) / seconds);
    return [
      {
        what: `edge gateway: ${modbusTags.toLocaleString('en')} tags of Modbus and ${opcuaTags.toLocaleString('en')} of OPC UA once a second, sent to ingest`,
        ours: `${Math.round(readings / seconds).toLocaleString('en')} tags/s in ${share} % of a CPU`,
        against: '',
        result: `${Math.round(perCore).toLocaleString('en')} tags/s a core`,
        target: '≥ 20,000 tags/s a core',
        met: perCore >= 20_000,
        value: perCore,
      },
      {
        what: `edge gateway at this load: a write with its read-back, ${writes} one by one, Modbus and OPC UA in turn`,
        ours: `p50 ${percentile(
          times.map(({ ms }) => ms),
          0.5,
        ).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms; ${stages}`,
        against: `event loops late: gateway ${loopDelayText(late)}; Modbus server ${loopDelayText(modbusLate)}; OPC UA server ${loopDelayText(opcuaLate)}`,
        result: `p99 ${p99.toFixed(1)} ms`,
        target: '≤ 100 ms',
        met: p99 <= 100,
      },
    ];
  } finally {
    for (const child of [edge, server, modbus, opcua]) await child.end();
    await dir.remove();
  }
}
