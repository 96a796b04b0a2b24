import { setTimeout as sleep } from 'node:timers/promises';
import { withRig } from './brokers.ts';
import { percentile } from './child.ts';
import type { Row } from './row.ts';

const load = { clients: 10_000, perSecond: 5_000, devices: 10_000, seconds: 60, awayMs: 2_000, everyMs: 15_000 };

interface Counted {
  readonly reports: number;
  readonly gaps: number;
  readonly repeats: number;
  readonly replaysMs: readonly number[];
  readonly failures: number;
}

/** 10,000 clients, each disconnected for 2 s every 15 s at random times: whether they get the backlog, and when. */
export async function benchReconnect(): Promise<Row[]> {
  return await withRig(12, async (rig) => {
    const server = rig.child('node-server.ts');
    const settings = { flushMs: 20, telemetryPartitions: 12, connectionsMax: 15_000, addressConnectionsMax: 100_000 };
    const { broker, nats } = rig;
    const { port, token } = await server.ask<{ port: number; token: string }>('start', {
      ...{ node: 'bench', broker, nats, settings },
    });
    const sender = rig.child('device-sender.ts');
    await sender.ask('start', { broker });
    const clients = [rig.child('resumers.ts'), rig.child('resumers.ts')];
    const count = load.clients / clients.length;
    await Promise.all(clients.map((each, i) => each.ask('open', { port, token, first: i * count, count })));
    const { devices, perSecond, seconds, awayMs, everyMs } = load;
    const before = await server.ask<{ cpu: number }>('cpu');
    const sending = sender.ask<{ sent: number }>('run', { devices, perSecond, seconds, readings: 4 });
    await Promise.all(clients.map((each) => each.ask('churn', { awayMs, everyMs, seconds: seconds - 5 })));
    const { sent } = await sending;
    await sleep(5_000);
    const counted = await Promise.all(clients.map((each) => each.ask<Counted>('count')));
    const after = await server.ask<{ cpu: number }>('cpu');
    const sum = (of: (each: Counted) => number) => counted.reduce((all, each) => all + of(each), 0);
    const replays = counted.flatMap((each) => each.replaysMs);
    const [p50, p99] = [percentile(replays, 0.5), percentile(replays, 0.99)];
    const [reports, gaps, repeats] = [
      sum((each) => each.reports),
      sum((each) => each.gaps),
      sum((each) => each.repeats),
    ];
    const share = (reports / sent) * 100;
    return [
      {
        what: `${load.clients.toLocaleString('en')} clients, each disconnected ${awayMs / 1_000} s every ${everyMs / 1_000} s, ${perSecond.toLocaleString('en')} reports/s, ${replays.length.toLocaleString('en')} returns in ${seconds} s`,
        ours: `${share.toFixed(2)} % delivered, ${gaps} lost, ${repeats} doubled, from connecting to the backlog p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms; ${Math.round(((after.cpu - before.cpu) / seconds) * 100)} % of a CPU`,
        against: 'Socket.IO with recovery, as published: p99 4.6 s',
        result: `${share.toFixed(2)} %, p99 ${p99.toFixed(0)} ms`,
        target: '100 %, p99 ≤ 1,000 ms',
        met: reports === sent && gaps === 0 && repeats === 0 && p99 <= 1_000,
      },
    ];
  });
}
