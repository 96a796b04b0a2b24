import { cp, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@tailrace/platform/clock';
import { FolderLock } from '@tailrace/platform/folder-lock';
import type { Logger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';

/*
 * The folder of an embedded store:
 *
 *     tailrace.lock  the process that has it open
 *     clean          exists while the store is closed in order
 *     data           PostgreSQL's data folder; complete only with the file `tailrace.created`; `data.new` while a
 *                    backup is restored
 *     backup         a copy of `data` from a checkpoint; `backup.new` while it is written
 *     damaged        the last `data` that did not open, for an examination
 *
 * PostgreSQL recovers from an unclean stop by its log, as a server does. If `data` does not open even so, the backup
 * takes its place, with the log of the damaged one: PostgreSQL keeps its log since the backup, so that nothing is lost
 * that was acknowledged.
 */

const createdFile = 'tailrace.created';
/** In a backup: how many bytes of log PostgreSQL had written before it. */
const positionFile = 'tailrace.position';
/** PGlite writes a process ID of its own that no later start accepts. The lock of this folder stands for it. */
const processFile = 'postmaster.pid';
/** Files that are written to the disk at the same time. */
const syncsMax = 16;

/** How the store was found: without data, closed in order, or with a log to recover. */
export type FoundState = 'new' | 'clean' | 'unclean';

export class PgliteDirectory {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #lock: FolderLock;

  private constructor(path: string, logger: Logger, lock: FolderLock) {
    this.#path = path;
    this.#logger = logger;
    this.#lock = lock;
  }

  /** Rejects with `conflict` and the process that has the folder. */
  static async open(path: string, clock: Clock, logger: Logger): Promise<PgliteDirectory> {
    await mkdir(path, { recursive: true });
    return new PgliteDirectory(path, logger, await FolderLock.acquire(path, clock));
  }

  get data(): string {
    return join(this.#path, 'data');
  }

  get unfinishedBackup(): string {
    return join(this.#path, 'backup.new');
  }

  get #unfinishedData(): string {
    return join(this.#path, 'data.new');
  }

  get #backup(): string {
    return join(this.#path, 'backup');
  }

  get #formerBackup(): string {
    return join(this.#path, 'backup.old');
  }

  get #clean(): string {
    return join(this.#path, 'clean');
  }

  /** Prepares the data folder for PostgreSQL. */
  async prepare(): Promise<FoundState> {
    await rm(this.unfinishedBackup, { recursive: true, force: true });
    await rm(this.#unfinishedData, { recursive: true, force: true });
    if (!(await exists(join(this.data, createdFile)))) {
      if (await this.hasBackup()) {
        await this.restore({ withLog: true });
        return 'unclean';
      }
      // The process was killed while it created the store: nothing was acknowledged.
      await rm(this.data, { recursive: true, force: true });
      return 'new';
    }
    await rm(join(this.data, processFile), { force: true });
    const isClean = await exists(this.#clean);
    await rm(this.#clean, { force: true });
    await syncFile(this.#path);
    return isClean ? 'clean' : 'unclean';
  }

  /** After the creation and its stop: PGlite has not written the new files to the disk. */
  async created(): Promise<void> {
    await rm(join(this.data, processFile), { force: true });
    await syncTree(this.data);
    await writeFile(join(this.data, createdFile), '', { flush: true });
    await syncFile(this.data);
  }

  async hasBackup(): Promise<boolean> {
    return (await this.#completeBackup()) !== undefined;
  }

  /** Resolves with the bytes of log before the backup; undefined: there is no backup, or it cannot be known. */
  async backupPosition(): Promise<number | undefined> {
    const backup = await this.#completeBackup();
    if (backup === undefined) return undefined;
    const position = Number(await readFile(join(backup, positionFile), 'utf8').catch(() => 'none'));
    return Number.isFinite(position) ? position : undefined;
  }

  /** Replaces the backup by the unfinished one, once that is on the disk. `position`: see `backupPosition`. */
  async finishBackup(position: number): Promise<void> {
    await writeFile(join(this.unfinishedBackup, positionFile), `${position}`);
    await syncTree(this.unfinishedBackup);
    const former = this.#formerBackup;
    if (await exists(this.#backup)) {
      await rm(former, { recursive: true, force: true });
      await rename(this.#backup, former);
    }
    await rename(this.unfinishedBackup, this.#backup);
    await syncFile(this.#path);
    await rm(former, { recursive: true, force: true });
  }

  /**
   * Puts the backup in the place of the data, which becomes `damaged`. `withLog`: with the log of the damaged data,
   * which PostgreSQL then applies from the backup's checkpoint on. The damaged data stays in its place until the copy
   * is on the disk: it has the only log, and a disk that is full may be why it did not open.
   */
  async restore({ withLog }: { withLog: boolean }): Promise<void> {
    const backup = await this.#completeBackup();
    if (backup === undefined)
      throw new TailraceError('unavailable', `the embedded database of ${this.#path} has no backup`, {
        retryable: false,
      });
    const damaged = join(this.#path, 'damaged');
    const restored = this.#unfinishedData;
    // Otherwise an earlier attempt has put it away: `damaged` has the log.
    const isInPlace = withLog && (await exists(this.data));
    await rm(isInPlace ? damaged : this.data, { recursive: true, force: true });
    await rm(restored, { recursive: true, force: true });
    await cp(backup, restored, { recursive: true, preserveTimestamps: true });
    const log = join(isInPlace ? this.data : damaged, 'pg_wal');
    if (withLog && (await exists(log))) await cp(log, join(restored, 'pg_wal'), { recursive: true, force: true });
    await rm(join(restored, processFile), { force: true });
    await syncTree(restored);
    if (isInPlace) await rename(this.data, damaged);
    await rename(restored, this.data);
    await syncFile(this.#path);
    this.#logger.warn(
      { directory: this.#path, damaged, withLog },
      'the embedded database did not open; its backup takes its place',
    );
  }

  /** The former one is complete, and the only one, between the two renames of `finishBackup`. */
  async #completeBackup(): Promise<string | undefined> {
    for (const backup of [this.#backup, this.#formerBackup]) if (await exists(join(backup, createdFile))) return backup;
    return undefined;
  }

  /** After PostgreSQL has stopped in order. */
  async closed(): Promise<void> {
    await writeFile(this.#clean, '', { flush: true });
    await this.release();
  }

  release(): Promise<void> {
    return this.#lock.release();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

/** Writes all files and folders of a folder to the disk. */
async function syncTree(path: string): Promise<void> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const paths = [path, ...entries.map((entry) => join(entry.parentPath, entry.name))];
  const next = paths.values();
  const worker = async () => {
    for (const each of next) await syncFile(each);
  };
  await Promise.all(Array.from({ length: syncsMax }, worker));
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
