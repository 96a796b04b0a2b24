import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, median, startChild } from './child.ts';
import { load } from './fanout-load.ts';
import type { Row } from './row.ts';

const iterations = 3;

interface Iteration {
  /** Server CPU, microseconds a frame a socket. */
  readonly microseconds: number;
  /** Bytes a socket a frame. */
  readonly bytes: number;
}

/**
 * One device to 1,000 sockets: the cost of a delivered frame for the server, ours against bare `publish` of the same
 * bytes at the same rate.
 */
export async function benchFanout(): Promise<Row[]> {
  const children: Child[] = [];
  try {
    const servers = new Map<string, { server: Child; sinks: Child }>();
    for (const kind of ['ours', 'bare']) {
      const server = startChild('fanout-server.ts', [kind]);
      const sinks = startChild('fanout-sinks.ts');
      children.push(server, sinks);
      const { port, token } = await server.ask<{ port: number; token: string }>('start');
      await sinks.ask('open', { port, token });
      await server.ask('run', { seconds: 2 });
      servers.set(kind, { server, sinks });
    }
    const results = { ours: [] as Iteration[], bare: [] as Iteration[] };
    for (let iteration = 0; iteration < iterations; iteration++) {
      for (const kind of ['ours', 'bare'] as const) results[kind].push(await runIteration(servers.get(kind)!));
    }
    const ours = median(results.ours.map((iteration) => iteration.microseconds));
    const bare = median(results.bare.map((iteration) => iteration.microseconds));
    const row = {
      what: `fan-out: one device to ${load.sockets} sockets, ${load.flushesPerSecond} frames/s of ${load.reportsPerFlush} reports, ${Math.round(results.ours[0]!.bytes)} B`,
      ours: `${ours.toFixed(2)} µs a frame and socket`,
      against: `bare uWebSockets.js publish: ${bare.toFixed(2)} µs (${Math.round(results.bare[0]!.bytes)} B)`,
      result: (bare / ours).toFixed(2),
      target: '≥ 0.90 of bare',
      met: bare / ours >= 0.9,
    };
    return [row];
  } finally {
    for (const child of children) await child.end();
  }
}

async function runIteration({ server, sinks }: { server: Child; sinks: Child }): Promise<Iteration> {
  await sinks.ask('reset');
  const { cpu, flushes } = await server.ask<{ cpu: number; flushes: number }>('run', { seconds: load.seconds });
  // Until the bytes in flight have arrived.
  let { bytes } = await sinks.ask<{ bytes: number }>('count');
  for (let before = -1; before !== bytes; ) {
    before = bytes;
    await sleep(200);
    ({ bytes } = await sinks.ask<{ bytes: number }>('count'));
  }
  return { microseconds: (cpu * 1e6) / (flushes * load.sockets), bytes: bytes / (flushes * load.sockets) };
}
