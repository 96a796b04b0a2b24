import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StackCluster } from '../../scripts/stack-cluster.ts';
import { freePortBase } from '../../test/ports.ts';
import type { K6Run } from './k6-run.ts';

const nodes = 3;
/** Pause before the first restart and between two, ms. */
const pauseMs = 3000;
/** Restarts of three nodes on a slow machine take 40 s. */
const ownDuration = '60s';
/** The default of a fanout node. */
const drainMs = 5000;

/**
 * Starts a cluster, and restarts its nodes one after the other while k6 runs. Resolves with k6's exit code, or 1 if
 * the restarts failed.
 */
export async function rollOwnCluster(run: (env: NodeJS.ProcessEnv) => K6Run, data: string): Promise<number> {
  const portBase = await freePortBase(nodes);
  const cluster = new StackCluster({
    nodes,
    data: join(data, 'cluster'),
    keepsData: false,
    portBase,
    drainMs,
    print: print,
  });
  try {
    await cluster.start();
    const k6 = run({
      TARGET: cluster.fanout.map(({ port }) => `ws://127.0.0.1:${port}`).join(','),
      INGEST: cluster.ingest.url,
      TOKEN: cluster.token,
      DURATION: process.env['DURATION'] || ownDuration,
    });
    return await during(k6, async (printStep) => {
      for (const node of cluster.fanout) {
        printStep(`${node.name} stops`);
        await node.end('SIGTERM');
        printStep(`${node.name} has stopped; it starts again`);
        await node.start();
        printStep(`${node.name} is ready`);
        await sleep(pauseMs);
      }
    });
  } finally {
    await cluster.stop();
  }
}

/**
 * Runs a command that restarts the nodes of any installation, such as `kubectl rollout restart … && kubectl rollout
 * status …`, while k6 runs. Resolves with k6's exit code, or 1 if the command failed.
 */
export function rollByCommand(k6: K6Run, command: string): Promise<number> {
  return during(k6, async (printStep) => {
    printStep(command);
    const child = spawn('/bin/sh', ['-c', command], { stdio: 'inherit' });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`ROLL_COMMAND: expected exit code 0, got ${code}: ${command}`);
    printStep('the command has finished');
  });
}

/** Restarts once all clients are connected. Restarts after the end of k6's run are not tested, and fail it. */
async function during(k6: K6Run, roll: (printStep: (step: string) => void) => Promise<void>): Promise<number> {
  const first = await Promise.race([k6.started.then(() => 'started' as const), k6.exited]);
  if (first !== 'started') return first || 1;
  await sleep(pauseMs);
  const startMs = performance.now();
  const printStep = (step: string) => print(`  ${((performance.now() - startMs) / 1000).toFixed(1)} s: ${step}`);
  let failure = '';
  await roll(printStep).catch((error: unknown) => {
    failure = error instanceof Error ? error.message : String(error);
    k6.stop();
  });
  if (failure === '' && k6.hasExited) failure = 'the restarts took longer than the scenario: set a longer DURATION';
  const code = await k6.exited;
  if (failure === '') return code;
  process.stderr.write(`The rolling restart failed: ${failure}\n`);
  return 1;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
