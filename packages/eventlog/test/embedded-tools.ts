import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { createEmbeddedLog, type EmbeddedLogOptions } from '../src/embedded.ts';
import type { LocalEventLog } from '../src/local/local-event-log.ts';
import { eventually } from './support.ts';

export const deadlineMs = 20_000;
export const spec = { name: 't', partitions: 4, retentionMs: 86_400_000, retentionBytes: 1_000_000_000 };

const undoing = new WeakMap<TestContext, (() => unknown)[]>();

/**
 * Runs after the test, in reverse order: a log is closed before its folder is removed. (`t.after` alone runs in the
 * order of the calls.)
 */
export function atEnd(t: TestContext, undo: () => unknown): void {
  const known = undoing.get(t);
  if (known !== undefined) {
    known.push(undo);
    return;
  }
  const undos = [undo];
  undoing.set(t, undos);
  t.after(async () => {
    for (const each of undos.reverse()) await each();
  });
}

export async function folder(t: TestContext): Promise<string> {
  const dir = await createTempDir('embedded');
  atEnd(t, () => dir.remove());
  return dir.path;
}

/** Starts a log, which is closed after the test. */
export async function openLog(
  t: TestContext,
  path: string,
  options: Partial<EmbeddedLogOptions> = {},
): Promise<LocalEventLog> {
  const eventLog = createEmbeddedLog({ path, clock: systemClock, logger: silentLogger, ...options });
  await eventLog.start();
  atEnd(t, () => eventLog.close());
  return eventLog;
}

/** Starts the writer process, and resolves once it is ready. `lines` has its output. */
export async function startWriter(
  t: TestContext,
  path: string,
  mode = 'write',
): Promise<{ child: ChildProcess; lines: string[] }> {
  const script = join(import.meta.dirname, 'embedded-writer.ts');
  const child = spawn(process.execPath, [script, path, mode], { stdio: ['ignore', 'pipe', 'inherit'] });
  atEnd(t, () => kill(child));
  const lines: string[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line));
  await eventually('the writer is ready', deadlineMs, () => lines[0] === 'ready');
  return { child, lines };
}

export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

/** Mounts a file system of a few megabytes on the folder, for the duration of the test. */
export function mountSmall(t: TestContext, path: string, megabytes: number): void {
  // Mounting needs root: without it the test fails instead of being skipped.
  assert.equal(process.getuid?.(), 0, 'run this test as root: it mounts a small tmpfs to fill it');
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path]);
  atEnd(t, () => execFileSync('umount', [path]));
}
