import assert from 'node:assert/strict';
import { availableParallelism, loadavg } from 'node:os';
import { findDockerEngine } from '@tailrace/testkit/docker-engine';
import { eventually } from '@tailrace/testkit/eventually';
import { run } from '@tailrace/testkit/run';
import { docker } from '../../scripts/image/build.ts';
import { projectRoot } from '../../scripts/services.ts';

/** What a test has of the one that runs it. */
export interface Teller {
  diagnostic(text: string): void;
}

const deadEngine = 'tcp://127.0.0.1:9';

/**
 * Whether images can be built and run here. Where no Docker engine answers, says why, and checks what `make images`
 * says there: that is the test then.
 */
export async function hasEngine(teller: Teller): Promise<boolean> {
  const engine = await findDockerEngine(process.env).catch((error: Error) => error);
  if (typeof engine === 'string') return true;
  teller.diagnostic(`images were not tried: ${engine.message}`);
  await assertImagesSaySo();
  return false;
}

/** `make images` where nobody answers. */
export async function assertImagesSaySo(): Promise<void> {
  const failing = run(process.execPath, ['scripts/images.ts'], {
    cwd: projectRoot,
    env: { ...process.env, DOCKER_HOST: deadEngine },
    deadlineMs: 30_000,
  });
  await assert.rejects(failing, {
    code: 1,
    stderr: /^images: no Docker engine answers: start one, or say in DOCKER_HOST/,
  });
}

/**
 * As every orchestrator should run a service: nothing may be written but what is mounted, no rights, and no way to get
 * any.
 */
export const restricted = ['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges'] as const;

/** Both outputs of a container so far, each line with when it was written. */
export async function logOf(id: string): Promise<string> {
  const { stdout, stderr } = await run('docker', ['logs', '--timestamps', id], {
    deadlineMs: 30_000,
    env: process.env,
  });
  return `${stdout}${stderr}`;
}

export interface Ended {
  readonly code: number;
  readonly log: string;
  readonly tookMs: number;
}

/** Ends a container as an orchestrator does, tells how that went, and removes it. */
export async function stopContainer(id: string): Promise<Ended> {
  const startedAt = performance.now();
  await docker(['kill', '--signal=SIGTERM', id]);
  const code = Number(await docker(['wait', id]));
  const tookMs = Math.round(performance.now() - startedAt);
  const log = await logOf(id);
  await docker(['rm', '-f', '-v', id]);
  return { code, log, tookMs };
}

export interface Readiness {
  /** From the start of the process to the line that says that it is ready, by the engine's clock. */
  readonly wallMs: number;
  /** Processor time of the process: what it would take on a machine with nothing else to do, waiting left out. */
  readonly cpuMs: number;
  /** Whether the machine had more to do than it has processors, so that `wallMs` says more of it than of us. */
  readonly isBusy: boolean;
}

const ticksPerSecond = 100;

/** How long a container took until its log said that it is ready, which is waited for. */
export async function readinessOf(id: string): Promise<Readiness> {
  const started = Date.parse((await docker(['inspect', '-f', '{{.State.StartedAt}}', id])).trim());
  const find = async () => {
    const lines = (await logOf(id)).split('\n');
    const ready = lines.map((line) => ({ line, atMs: Date.parse(line.split(' ', 1)[0] ?? '') }));
    const found = ready.find(({ line, atMs }) => line.includes('"message":"running"') && atMs >= started);
    assert.ok(found, lines.slice(-5).join('\n'));
    return found.atMs - started;
  };
  const wallMs = await eventually(find, { deadlineMs: 60_000, pollMs: 100, describe: 'the service is ready' });
  // Fields 14 and 15 of proc(5): utime and stime.
  const stat = (await docker(['exec', id, 'cat', '/proc/1/stat'])).split(') ')[1]?.split(' ') ?? [];
  const cpuMs = ((Number(stat[11]) + Number(stat[12])) * 1000) / ticksPerSecond;
  return { wallMs, cpuMs, isBusy: (loadavg()[0] ?? 0) > availableParallelism() };
}

/**
 * The best of some starts is within the limit: in time, and in processor time where the machine was busy with others.
 */
export function assertReadyWithin(limitMs: number, starts: readonly Readiness[]): void {
  const best = Math.min(...starts.map(({ wallMs, cpuMs, isBusy }) => (isBusy ? Math.min(wallMs, cpuMs) : wallMs)));
  assert.ok(best <= limitMs, JSON.stringify(starts));
}
