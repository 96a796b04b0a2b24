import { randomUUID } from 'node:crypto';
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
 * A folder of the cache, made by `make` if it is not there. `make` fills a folder beside it, which is renamed when
 * complete: whoever sees the folder sees all of it. Processes that want the same one wait for the first; the lock only
 * saves work, the rename is what keeps it right.
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
    const holder = await holderOf(path);
    // Given back a moment ago: it is anybody's, and may be somebody's by now.
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
  // Written beside and then linked, so that the lock never exists without its pid. A ticket of its own: others of this
  // process ask, too.
  const ticket = `${path}.${randomUUID()}`;
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

/** What the lock says; undefined where there is none. */
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
 * Takes the lock of a dead process away. Another may have been first, and may have taken it since: that one is put
 * back.
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
