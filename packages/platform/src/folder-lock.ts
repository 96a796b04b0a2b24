import { readFileSync } from 'node:fs';
import { readFile, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { TailraceError } from '@tailrace/protocol/error';
import type { Clock, Timer } from './clock.ts';

const fileName = 'tailrace.lock';
const touchMs = 2_000;
/** A lock of another host (a container that shares the folder) is stale if it was not touched for this time. */
const staleMs = 15_000;

interface Holder {
  readonly pid: number;
  /** Start time of the process, if known: process IDs are reused, also that of a container's first process. */
  readonly startedAt: string;
  readonly host: string;
}

/** Folders that this process has open. The lock file does not distinguish it from a former process with the same ID. */
const heldFolders = new Set<string>();

/**
 * A lock for the one process that uses a folder. The file names its holder; the lock of a dead holder is replaced.
 * Whether a holder on another host is alive is not known: it touches the file every 2 s, and counts as dead after 15 s.
 */
export class FolderLock {
  readonly #path: string;
  readonly #timer: Timer;

  private constructor(path: string, timer: Timer) {
    this.#path = path;
    this.#timer = timer;
  }

  /** Locks the folder. Rejects with `conflict` and the name of the holder. */
  static async acquire(folder: string, clock: Clock): Promise<FolderLock> {
    const path = join(folder, fileName);
    const own = JSON.stringify({
      pid: process.pid,
      startedAt: startedAtOf(process.pid),
      host: hostname(),
    } satisfies Holder);
    if (heldFolders.has(path)) throw inUse(folder, process.pid, 'this process');
    heldFolders.add(path);
    try {
      // Three attempts: another process may create its file after this one has removed a stale lock.
      for (let attempt = 0; attempt < 3; attempt++) {
        if (await created(path, own)) {
          const timer = clock.every(touchMs, () => void touch(path));
          return new FolderLock(path, timer);
        }
        await removeStaleLock(folder, path);
      }
      throw inUse(folder, 0, 'a process that is starting');
    } catch (thrown) {
      heldFolders.delete(path);
      throw thrown;
    }
  }

  async release(): Promise<void> {
    this.#timer.cancel();
    await unlink(this.#path).catch(ignoreMissing);
    heldFolders.delete(this.#path);
  }
}

async function created(path: string, content: string): Promise<boolean> {
  try {
    await writeFile(path, content, { flag: 'wx' });
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw thrown;
  }
}

/** Removes the lock of a dead holder. Throws `conflict` if the holder is alive. */
async function removeStaleLock(folder: string, path: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch(ignoreMissing);
  if (text === undefined) return;
  const holder = holderFrom(text);
  if (holder !== undefined) {
    if (holder.host !== hostname()) {
      if (await isFresh(path)) throw inUse(folder, holder.pid, `process ${holder.pid} on ${holder.host}`);
    } else if (holder.pid !== process.pid && isAlive(holder)) {
      throw inUse(folder, holder.pid, `process ${holder.pid}`);
    }
  }
  await unlink(path).catch(ignoreMissing);
}

function holderFrom(text: string): Holder | undefined {
  try {
    const { pid, startedAt, host } = JSON.parse(text) as Partial<Holder>;
    return Number.isInteger(pid) && typeof host === 'string'
      ? { pid: pid!, startedAt: startedAt ?? '', host }
      : undefined;
  } catch {
    // A crash left it incomplete: it has no holder.
    return undefined;
  }
}

function isAlive({ pid, startedAt }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    // EPERM: it is alive, as another user.
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
  return startedAt === startedAtOf(pid);
}

/** Returns field 22 of /proc/<pid>/stat (proc(5)): ticks from boot to the start of the process. Empty without /proc. */
function startedAtOf(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the command in brackets, with any characters: field 3 follows the last bracket.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

async function isFresh(path: string): Promise<boolean> {
  const found = await stat(path).catch(ignoreMissing);
  return found !== undefined && Date.now() - found.mtimeMs < staleMs;
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  // If the folder is missing or full, the next append fails.
  await utimes(path, now, now).catch(() => undefined);
}

function ignoreMissing(thrown: NodeJS.ErrnoException): undefined {
  if (thrown.code === 'ENOENT') return undefined;
  throw thrown;
}

function inUse(folder: string, pid: number, who: string): TailraceError {
  const how = pid === 0 ? 'try again' : 'stop it, or use another data folder';
  return new TailraceError('conflict', `the data in ${folder} is in use by ${who}: ${how}`);
}
