import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, median, startChild } from './child.ts';
import { load } from './fanout-load.ts';
import type { Row } from './row.ts';

const rounds = 3;

interface Round {
  /** Server CPU, microseconds a frame a socket. */
  readonly microseconds: number;
  /** Bytes a socket a frame. */
  readonly bytes: number;
}

/**
 * One device to 1,000 sockets: what a delivered frame costs the server, ours against bare `publish` of the same bytes
 * at the same rate.
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
    const results = { ours: [] as Round[], bare: [] as Round[] };
    for (let round = 0; round < rounds; round++) {
      for (const kind of ['ours', 'bare'] as const) results[kind].push(await runRound(servers.get(kind)!));
    }
    const ours = median(results.ours.map((round) => round.microseconds));
    const bare = median(results.bare.map((round) => round.microseconds));
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

async function runRound({ server, sinks }: { server: Child; sinks: Child }): Promise<Round> {
  await sinks.ask('reset');
  const { cpu, flushes } = await server.ask<{ cpu: number; flushes: number }>('run', { seconds: load.seconds });
  // What is on the way arrives; the count is checked for whole frames.
  let { bytes } = await sinks.ask<{ bytes: number }>('count');
  for (let before = -1; before !== bytes; ) {
    before = bytes;
    await sleep(200);
    ({ bytes } = await sinks.ask<{ bytes: number }>('count'));
  }
  return { microseconds: (cpu * 1e6) / (flushes * load.sockets), bytes: bytes / (flushes * load.sockets) };
}
