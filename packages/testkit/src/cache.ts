import { access, link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Environment } from './ladder.ts';

/** The folder for what is slow to fetch or to build, kept between runs: `TAILRACE_CACHE`, else `~/.cache/tailrace`. */
export function cacheDirFrom(env: Environment): string {
  return env['TAILRACE_CACHE'] || join(env['HOME'] || homedir(), '.cache', 'tailrace');
}

/**
 * A folder of the cache, made by `make` if it is not there. `make` fills a folder beside it, which is renamed when complete: whoever sees the folder sees
 * all of it. Processes that want the same one wait for the first; the lock only saves work, the rename is what keeps it right.
 */
export async function cached(cacheDir: string, name: string, make: (dir: string) => Promise<void>): Promise<string> {
  const dir = join(cacheDir, name);
  if (await exists(dir)) return dir;
  await mkdir(cacheDir, { recursive: true });
  return await withFileLock(`${dir}.lock`, async () => {
    if (await exists(dir)) return dir;
    const unfinished = `${dir}.${process.pid}.tmp`;
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished, { recursive: true });
    try {
      await make(unfinished);
      await rename(unfinished, dir);
    } catch (error) {
      // Another process may have been first, if it took our lock for that of a dead process.
      if (!(await exists(dir))) throw error;
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
    return dir;
  });
}

/** Runs `task` while holding a lock file that names our pid. The lock of a dead process is taken over. */
export async function withFileLock<T>(path: string, task: () => Promise<T>): Promise<T> {
  while (!(await take(path))) {
    if (!(await isHeld(path))) await rm(path, { force: true });
    else await sleep(100);
  }
  try {
    return await task();
  } finally {
    await rm(path, { force: true });
  }
}

async function take(path: string): Promise<boolean> {
  // Written beside and then linked, so that the lock never exists without its pid.
  const ticket = `${path}.${process.pid}`;
  await writeFile(ticket, String(process.pid));
  try {
    await link(ticket, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(ticket, { force: true });
  }
}

async function isHeld(path: string): Promise<boolean> {
  let pid: number;
  try {
    pid = Number(await readFile(path, 'utf8'));
  } catch {
    return false;
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
