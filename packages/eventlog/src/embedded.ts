import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Clock } from '@tailrace/platform/clock';
import { FolderLock } from '@tailrace/platform/folder-lock';
import type { Metrics } from '@tailrace/platform/metrics';
import { type Database, open } from 'lmdb';
import { diskErrorFrom } from './embedded/disk-error.ts';
import { DiskQueue } from './embedded/disk-queue.ts';
import { assertDiskSpace } from './embedded/disk-space.ts';
import { assertFileIsWhole } from './embedded/file-check.ts';
import { registerEmbeddedMetrics } from './embedded/metrics.ts';
import { type EmbeddedOptions, EmbeddedStore } from './embedded/store.ts';
import type { Entry, Table, TransactionFile } from './embedded/table.ts';
import { LocalEventLog } from './local/local-event-log.ts';
import { LocalLog } from './local/local-log.ts';

export interface EmbeddedLogOptions extends EmbeddedOptions {
  /** The folder of the log; created if it is missing. For one process at a time. */
  readonly path: string;
  /** Most records that a subscription has read and not delivered. Default: 10,000. */
  readonly queueRecordsMax?: number;
  /** For the bytes that wait for the disk. Default: no metrics. */
  readonly metrics?: Metrics;
}

/**
 * Creates the log on this machine's disk, in one LMDB environment, for one process. An append resolves when it is
 * flushed to disk: after a crash, also of the machine, every resolved append is in the log. The file grows as needed
 * and does not shrink; pages that retention frees are reused.
 *
 * `start` rejects with `conflict` if another process uses the folder, and with `unavailable` if the folder is not
 * usable.
 */
export function createEmbeddedLog(options: EmbeddedLogOptions): LocalEventLog {
  const path = resolve(options.path);
  const store = new EmbeddedStore(options, () =>
    openLocked(path, options.clock, ['records', 'latest', 'meta', 'groups']),
  );
  if (options.metrics !== undefined) registerEmbeddedMetrics(options.metrics, store.writes);
  const localLog = new LocalLog({
    store,
    clock: options.clock,
    // Not a timer, which has a resolution of a millisecond: after the sockets of this turn, before those of the next.
    schedule: setImmediate,
    queueRecordsMax: options.queueRecordsMax ?? 10_000,
  });
  return new LocalEventLog(localLog);
}

/**
 * Creates a queue on this machine's disk, for one process. `open` rejects with `conflict` if another process uses the
 * folder, `storage_full` if its disk is full, and `unavailable` or `invalid_config` if it is not usable.
 */
export function createDiskQueue(options: { readonly path: string; readonly clock: Clock }): DiskQueue {
  const path = resolve(options.path);
  return new DiskQueue(async () => {
    await assertFileIsWhole(path);
    return openLocked(path, options.clock, ['records', 'meta']);
  });
}

type Tables<N extends string> = TransactionFile & Readonly<Record<N, Table>>;

async function openLocked<N extends string>(path: string, clock: Clock, names: readonly N[]): Promise<Tables<N>> {
  try {
    await mkdir(path, { recursive: true });
  } catch (thrown) {
    throw await diskErrorFrom(thrown, path, 'opening');
  }
  const lock = await FolderLock.acquire(path, clock);
  try {
    const file = openFile(path, names);
    return {
      ...file,
      async close() {
        await file.close();
        await lock.release();
      },
    };
  } catch (thrown) {
    await lock.release();
    throw await diskErrorFrom(thrown, path, 'opening');
  }
}

function openFile<N extends string>(path: string, names: readonly N[]): Tables<N> {
  const root = open({
    path,
    // Otherwise LMDB treats a name with a dot as a file.
    noSubdir: false,
    maxDbs: 8,
    // The promise of a transaction resolves when it is flushed (fdatasync of the pages, then the head page through a
    // file opened with O_DSYNC). Flushing after the commit was measured to be no faster, and has two promises.
    overlappingSync: false,
    // One transaction for each `batch`, and no promise of the library that no caller can catch.
    eventTurnBatching: false,
  });
  const databases: Database<Buffer, Buffer>[] = [];
  const table = (name: string): Table => {
    const database = root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' });
    databases.push(database);
    return tableOf(database);
  };
  /** Returns the bytes of pages that no table uses: retention has freed them, and the next transactions reuse them. */
  function reusableBytes(): number {
    const { free, lastPageNumber, pageSize } = statsOf(root);
    let used = pagesOf(statsOf(root)) + pagesOf(free);
    for (const database of databases) used += pagesOf(statsOf(database));
    return Math.max(0, lastPageNumber + 1 - used) * pageSize;
  }
  const tables = Object.fromEntries(names.map((name) => [name, table(name)])) as Record<N, Table>;
  return {
    ...tables,
    async transaction(apply, size) {
      assertDiskSpace(path, size, reusableBytes);
      try {
        await root.batch(apply);
      } catch (thrown) {
        throw await diskErrorFrom(thrown, path, 'writing to');
      }
    },
    close: () => root.close(),
  };
}

interface PageCounts {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

interface FileStats extends PageCounts {
  readonly pageSize: number;
  readonly lastPageNumber: number;
  /** Of the table of free pages. */
  readonly free: PageCounts;
}

/** Returns the statistics, which the library declares as `{}`. */
function statsOf(database: { getStats(): object }): FileStats {
  return database.getStats() as FileStats;
}

function pagesOf({ treeBranchPageCount, treeLeafPageCount, overflowPages }: PageCounts): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages;
}

function tableOf(database: Database<Buffer, Buffer>): Table {
  return {
    get: (key) => database.getBinary(key),
    // The promise of the batch covers the single operations.
    put: (key, value) => void database.put(key, value),
    remove: (key) => void database.remove(key),
    range: (start, end, limit) => database.getRange({ start, end, limit }) as Iterable<Entry>,
    lastKey(from, until) {
      // In reverse, the start is the upper bound: a key equal to it would count, but `until` is never in use. The lower
      // bound is checked here: as `end` it would be exclusive, and a partition with one record would appear empty.
      for (const key of database.getKeys({ start: until, reverse: true, limit: 1 })) {
        return key.compare(from) >= 0 ? key : undefined;
      }
      return undefined;
    },
  };
}
