import assert from 'node:assert/strict';
import { availableParallelism, loadavg } from 'node:os';
import { findDockerEngine } from '@tailrace/testkit/docker-engine';
import { eventually } from '@tailrace/testkit/eventually';
import { run } from '@tailrace/testkit/run';
import { docker } from '../../scripts/image/build.ts';
import { projectRoot } from '../../scripts/services.ts';

/** The part of a test's context that prints. */
export interface Diagnostics {
  diagnostic(text: string): void;
}

const deadEngine = 'tcp://127.0.0.1:9';

/**
 * Returns whether images can be built and run here. Where no Docker engine answers, it prints why, and tests what
 * `make images` reports.
 */
export async function hasEngine(diagnostics: Diagnostics): Promise<boolean> {
  const engine = await findDockerEngine(process.env).catch((error: Error) => error);
  if (typeof engine === 'string') return true;
  diagnostics.diagnostic(`images were not tried: ${engine.message}`);
  await assertImagesReportsNoEngine();
  return false;
}

/** Runs `make images` without an engine. */
export async function assertImagesReportsNoEngine(): Promise<void> {
  const failing = run(process.execPath, ['scripts/images.ts'], {
    cwd: projectRoot,
    env: { ...process.env, DOCKER_HOST: deadEngine },
    deadlineMs: 30_000,
  });
  await assert.rejects(failing, {
    code: 1,
    stderr: /^images: no Docker engine answers: start one, or set DOCKER_HOST/,
  });
}

/**
 * Options with which an orchestrator should run a service: read-only except mounts, without capabilities, and without
 * a way to get any.
 */
export const restricted = ['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges'] as const;

/** Returns both outputs of a container so far, each line with its time. */
export async function logOf(id: string): Promise<string> {
  const { stdout, stderr } = await run('docker', ['logs', '--timestamps', id], {
    deadlineMs: 30_000,
    env: process.env,
  });
  return `${stdout}${stderr}`;
}

export interface StoppedContainer {
  readonly code: number;
  readonly log: string;
  readonly tookMs: number;
}

/** Stops a container as an orchestrator does, and removes it. Resolves with its exit code and log. */
export async function stopContainer(id: string): Promise<StoppedContainer> {
  const startedAt = performance.now();
  await docker(['kill', '--signal=SIGTERM', id]);
  const code = Number(await docker(['wait', id]));
  const tookMs = Math.round(performance.now() - startedAt);
  const log = await logOf(id);
  await docker(['rm', '-f', '-v', id]);
  return { code, log, tookMs };
}

export interface Readiness {
  /** From the start of the process to the log line `running`, by the engine's clock. */
  readonly wallMs: number;
  /** Processor time of the process. */
  readonly cpuMs: number;
  /** Whether the load of the machine exceeded its processors, so that `wallMs` is not meaningful. */
  readonly isBusy: boolean;
}

const ticksPerSecond = 100;

/** Waits until a container is ready. Resolves with how long that took. */
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
 * Asserts that the best of some starts is within the limit: in time, or in processor time where the machine was busy.
 */
export function assertReadyWithin(limitMs: number, starts: readonly Readiness[]): void {
  const best = Math.min(...starts.map(({ wallMs, cpuMs, isBusy }) => (isBusy ? Math.min(wallMs, cpuMs) : wallMs)));
  assert.ok(best <= limitMs, JSON.stringify(starts));
}
