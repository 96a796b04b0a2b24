import { randomUUID } from 'node:crypto';
import { access, link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Environment } from './broker-source.ts';

/**
 * Returns the folder for downloads and builds that are kept between runs: `TAILRACE_CACHE`, else `~/.cache/tailrace`.
 */
export function cacheDirFrom(env: Environment): string {
  return env['TAILRACE_CACHE'] || join(env['HOME'] || homedir(), '.cache', 'tailrace');
}

/**
 * Returns a folder of the cache, made by `make` if it does not exist. `make` fills a folder beside it, which is renamed
 * when complete, so that a reader never sees a part of it. Processes that need the same folder wait for the first. The
 * lock only saves work; the rename alone keeps it correct.
 */
export async function cached(cacheDir: string, name: string, make: (dir: string) => Promise<void>): Promise<string> {
  const dir = join(cacheDir, name);
  if (await exists(dir)) return dir;
  await mkdir(cacheDir, { recursive: true });
  return await withFileLock(`${dir}.lock`, async () => {
    if (await exists(dir)) return dir;
    const unfinished = `${dir}.${randomUUID()}.tmp`;
    await mkdir(unfinished, { recursive: true });
    try {
      await make(unfinished);
      await rename(unfinished, dir);
    } catch (error) {
      // Another process may have been first, if it took this lock for that of a dead process.
      if (!(await exists(dir))) throw error;
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
    return dir;
  });
}

/** Runs `task` while it holds a lock file with the pid of this process. Takes over the lock of a dead process. */
export async function withFileLock<T>(path: string, task: () => Promise<T>): Promise<T> {
  while (!(await take(path))) {
    const holder = await holderOf(path);
    // Released a moment ago, and maybe taken again.
    if (holder === undefined) continue;
    if (isAlive(holder)) await sleep(100);
    else await clear(path, holder);
  }
  try {
    return await task();
  } finally {
    await rm(path, { force: true });
  }
}

async function take(path: string): Promise<boolean> {
  // Written beside and then linked, so that the lock never exists without its pid. The name is unique, because this
  // process may take several locks at once.
  const unlinked = `${path}.${randomUUID()}`;
  await writeFile(unlinked, String(process.pid));
  try {
    await link(unlinked, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(unlinked, { force: true });
  }
}

/** Returns the pid in the lock file; undefined without one. */
async function holderOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}

function isAlive(holder: string): boolean {
  try {
    process.kill(Number(holder), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Removes the lock of a dead process. Another process may have removed it before, and may have taken the lock since:
 * that lock is put back.
 */
async function clear(path: string, holder: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
    if ((await readFile(aside, 'utf8')) !== holder) await link(aside, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error;
  } finally {
    await rm(aside, { force: true });
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
