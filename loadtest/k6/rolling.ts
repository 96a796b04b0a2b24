import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StackCluster } from '../../scripts/stack-cluster.ts';
import { freePortBase } from '../../test/ports.ts';
import type { K6Run } from './k6run.ts';

const nodes = 3;
/** Calm before the first restart and between two, ms. */
const calmMs = 3000;
/** Three nodes on a slow machine take 40 s. */
const ownDuration = '60s';
/** As a fanout node's default. */
const drainMs = 5000;

/** Restarts each node of a cluster made for it, one after the other, while k6 watches. Answers k6's exit code, or 1. */
export async function rollOwnCluster(run: (place: NodeJS.ProcessEnv) => K6Run, data: string): Promise<number> {
  const portBase = await freePortBase(nodes);
  const cluster = new StackCluster({ nodes, data: join(data, 'cluster'), keepsData: false, portBase, drainMs, say });
  try {
    await cluster.start();
    const k6 = run({
      TARGET: cluster.fanout.map(({ port }) => `ws://127.0.0.1:${port}`).join(','),
      INGEST: cluster.ingest.url,
      TOKEN: cluster.token,
      DURATION: process.env['DURATION'] || ownDuration,
    });
    return await during(k6, async (tell) => {
      for (const node of cluster.fanout) {
        tell(`${node.name} is told to stop`);
        await node.end('SIGTERM');
        tell(`${node.name} has ended; it starts again`);
        await node.start();
        tell(`${node.name} is ready`);
        await sleep(calmMs);
      }
    });
  } finally {
    await cluster.stop();
  }
}

/** Runs a command that restarts the nodes of any installation, such as `kubectl rollout restart … && kubectl rollout status …`. */
export function rollByCommand(k6: K6Run, command: string): Promise<number> {
  return during(k6, async (tell) => {
    tell(command);
    const child = spawn('/bin/sh', ['-c', command], { stdio: 'inherit' });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code === 0) tell('the command is done');
    else throw new Error(`ROLL_COMMAND ended with ${code}: ${command}`);
  });
}

/** Restarts once everybody is connected. What k6 did not watch to its end was not tested. */
async function during(k6: K6Run, roll: (tell: (step: string) => void) => Promise<void>): Promise<number> {
  const first = await Promise.race([k6.begun.then(() => 'begun' as const), k6.ended]);
  if (first !== 'begun') return first || 1;
  await sleep(calmMs);
  const startMs = performance.now();
  const tell = (step: string) => say(`  ${((performance.now() - startMs) / 1000).toFixed(1)} s: ${step}`);
  let fault = '';
  await roll(tell).catch((error: unknown) => {
    fault = error instanceof Error ? error.message : String(error);
    k6.stop();
  });
  if (fault === '' && k6.isOver) fault = 'the restarts took longer than the scenario: give it a longer DURATION';
  const code = await k6.ended;
  if (fault === '') return code;
  process.stderr.write(`The rolling restart failed: ${fault}\n`);
  return 1;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
