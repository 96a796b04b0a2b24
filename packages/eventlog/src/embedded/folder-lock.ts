import { readFileSync } from 'node:fs';
import { readFile, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';

const fileName = 'tailrace.lock';
const touchMs = 2_000;
/** A lock of another host (a container that shares the folder) that was not touched for so long is left over. */
const staleMs = 15_000;

interface Holder {
  readonly pid: number;
  /**
   * When the process started, where the system knows it: a process number is used again, also that of a container's
   * first process.
   */
  readonly startedAt: string;
  readonly host: string;
}

/**
 * Folders that this very process has open: the lock file cannot tell them from those of a former process with the same
 * number.
 */
const held = new Set<string>();

/**
 * Lets one process at a time have a folder. The file holds the process that has it; what a dead one left behind is
 * taken over. A holder on another host cannot be asked whether it lives: it touches the file every 2 s, and counts as
 * dead after 15 s.
 */
export class FolderLock {
  readonly #path: string;
  readonly #timer: Timer;

  private constructor(path: string, timer: Timer) {
    this.#path = path;
    this.#timer = timer;
  }

  /** `conflict` names the process that has the folder, and what to do. */
  static async acquire(folder: string, clock: Clock): Promise<FolderLock> {
    const path = join(folder, fileName);
    const mine = JSON.stringify({
      pid: process.pid,
      startedAt: startedAtOf(process.pid),
      host: hostname(),
    } satisfies Holder);
    if (held.has(path)) throw inUse(folder, process.pid, 'this process');
    held.add(path);
    try {
      // Three rounds: between finding a leftover and making the own file, another may have done the same.
      for (let round = 0; round < 3; round++) {
        if (await created(path, mine)) {
          const timer = clock.every(touchMs, () => void touch(path));
          return new FolderLock(path, timer);
        }
        await removeLeftover(folder, path);
      }
      throw inUse(folder, 0, 'a process that is starting at this moment');
    } catch (thrown) {
      held.delete(path);
      throw thrown;
    }
  }

  async release(): Promise<void> {
    this.#timer.cancel();
    await unlink(this.#path).catch(ignoreMissing);
    held.delete(this.#path);
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

/** Throws `conflict` where the holder lives. */
async function removeLeftover(folder: string, path: string): Promise<void> {
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
    // A crash cut it short while it was written: no process holds it.
    return undefined;
  }
}

function isAlive({ pid, startedAt }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    // EPERM: it lives, as another user.
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
  return startedAt === startedAtOf(pid);
}

/**
 * Field 22 of /proc/<pid>/stat, see proc(5): ticks from boot to the start of the process. Empty where there is no
 * /proc.
 */
function startedAtOf(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the command in brackets and may hold anything; counting starts behind it, at field 3.
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
  // A folder that vanished or filled up shows at the next append; the lock has nothing to add.
  await utimes(path, now, now).catch(() => undefined);
}

function ignoreMissing(thrown: NodeJS.ErrnoException): undefined {
  if (thrown.code === 'ENOENT') return undefined;
  throw thrown;
}

function inUse(folder: string, pid: number, who: string): TailraceError {
  const how = pid === 0 ? 'try again' : 'stop it, or give this one a data folder of its own';
  return new TailraceError('conflict', `the log in ${folder} is in use by ${who}: ${how}`);
}
