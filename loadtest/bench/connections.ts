import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, startChild } from './child.ts';
import type { Row } from './row.ts';

const count = 10_000;
const idleSeconds = 30;

interface Use {
  readonly cpu: number;
  readonly rss: number;
}

/**
 * The cost of an idle connection with one subscription: memory, and CPU for its heartbeat. Bare: uWebSockets.js with a
 * topic each.
 */
export async function benchConnections(): Promise<Row[]> {
  const ours = await measure('node-server.ts');
  const bare = await measure('bare-node.ts');
  return [
    {
      what: `memory of an idle connection with one subscription (RSS of ${count.toLocaleString('en')} less RSS of none)`,
      ours: `${ours.kilobytes.toFixed(1)} KB`,
      against: `bare uWebSockets.js with a topic: ${bare.kilobytes.toFixed(1)} KB`,
      result: `${ours.kilobytes.toFixed(1)} KB`,
      target: '≤ 4 KB',
      met: ours.kilobytes <= 4,
      value: ours.kilobytes,
    },
    {
      what: `idle CPU of a connection, ${idleSeconds} s, heartbeat 30 s`,
      ours: `${ours.microsecondsPerSecond.toFixed(2)} µs/s`,
      against: `bare uWebSockets.js, its own pings: ${bare.microsecondsPerSecond.toFixed(2)} µs/s`,
      result: `${ours.microsecondsPerSecond.toFixed(2)} µs/s`,
      target: '≤ 1 µs/s',
      met: ours.microsecondsPerSecond <= 1,
    },
  ];
}

async function measure(script: string): Promise<{ kilobytes: number; microsecondsPerSecond: number }> {
  const server = startChild(script, [], ['--expose-gc']);
  const watchers: Child[] = [startChild('watchers.ts'), startChild('watchers.ts')];
  try {
    const settings = { connectionsMax: count + 100, telemetryPartitions: 4, flushMs: 20 };
    const { port, token } = await server.ask<{ port: number; token: string }>('start', { node: 'bench', settings });
    const facts = { ports: [port], token, each: 1, devices: 100, timedEvery: 0 };
    // A few, for one-time costs.
    await watchers[0]!.ask('open', { ...facts, first: 0, count: 100 });
    await sleep(1_000);
    const none = await used(server);
    const idle = await cpuOver(server, 10);
    await Promise.all(
      watchers.map((each, i) => each.ask('open', { ...facts, first: i * 5_000, count: count / watchers.length })),
    );
    await sleep(2_000);
    const full = await used(server);
    const busy = await cpuOver(server, idleSeconds);
    return {
      kilobytes: (full.rss - none.rss) / count / 1_024,
      microsecondsPerSecond: ((busy - idle) * 1e6) / count,
    };
  } finally {
    for (const child of [server, ...watchers]) await child.end();
  }
}

async function used(server: Child): Promise<Use> {
  await server.ask<Use>('use');
  return await server.ask<Use>('use');
}

/** CPU seconds a second. */
async function cpuOver(server: Child, seconds: number): Promise<number> {
  const before = await server.ask<{ cpu: number }>('cpu');
  await sleep(seconds * 1_000);
  return ((await server.ask<{ cpu: number }>('cpu')).cpu - before.cpu) / seconds;
}
