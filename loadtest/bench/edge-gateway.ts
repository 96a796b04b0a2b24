/** The gateway of the edge bench. */
import { createEdge, type Edge } from '@tailrace/edge/app';
import { configSchema } from '@tailrace/edge/config';
import { sourcesFrom } from '@tailrace/edge/sources-file';
import { systemClock as clock } from '@tailrace/platform/clock';
import { createLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { answer, cpuSeconds } from './child.ts';
import { endLoopDelay, startLoopDelay } from './loop-delay.ts';

const logger = createLogger({ service: 'bench', level: 'warn' });
let edge: Edge;

answer({
  start: async ({ settings, sources }: { settings: object; sources: string }) => {
    edge = createEdge({
      ...{ config: configSchema.parse(settings), sources: sourcesFrom(sources), clock, random: Math.random, logger },
      metrics: createMetrics({ service: 'edge', node: 'bench' }),
    });
    await edge.start();
    while (edge.uplink.state !== 'up' || !edge.sources.every(({ isLive }) => isLive)) await clock.sleep(50);
    return {};
  },
  use: () => ({ cpu: cpuSeconds(), readings: edge.uplink.counts.readings, waiting: edge.outbox.reports }),
  startWrites: startLoopDelay,
  endWrites: endLoopDelay,
  /** Answers with the time, ms, from the command to its answer after the read-back, and to its place on disk. */
  write: async ({ id, device, value }: { id: string; device: string; value: number }) => {
    const startMs = performance.now();
    let storedMs = 0;
    const reply = await new Promise<{ state: string; message?: string }>((resolve) => {
      const expiresAtMs = clock.monotonic() + 10_000;
      const command = { id, device, name: 'set', params: { set: value }, qos: 1 as const, fence: 0, expiresAtMs };
      const delivered = () => {
        storedMs = performance.now() - startMs;
      };
      edge.executor.execute(command, { delivered, reply: resolve });
    });
    return { ...reply, ms: performance.now() - startMs, storedMs };
  },
});
