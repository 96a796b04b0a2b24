import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Metrics } from '@tailrace/platform/metrics';
import { type Database, open } from 'lmdb';
import { diskErrorFrom } from './embedded/disk-error.ts';
import { assertRoom } from './embedded/disk-space.ts';
import { FolderLock } from './embedded/folder-lock.ts';
import { registerEmbeddedMetrics } from './embedded/metrics.ts';
import { type EmbeddedOptions, EmbeddedStore } from './embedded/store.ts';
import type { Entry, Table, TableFile } from './embedded/table.ts';
import { LocalEventLog } from './local/local-event-log.ts';
import { LocalLog } from './local/local-log.ts';

export interface EmbeddedLogOptions extends EmbeddedOptions {
  /** The folder of the log; made where it is missing. One process at a time. */
  readonly path: string;
  /** Bound of a subscription's queue, records. Default 10,000. */
  readonly queueRecordsMax?: number;
  /** Shows how much waits for the disk. Default: nowhere. */
  readonly metrics?: Metrics;
}

/**
 * The log on this machine's disk, in one LMDB environment, for one process. An append resolves when it is flushed to
 * disk; after a crash, also of the machine, everything that resolved is there. The file grows as needed and does not
 * shrink: what retention frees is used again.
 *
 * `start` fails with `conflict` where another process has the folder, and `unavailable` where the folder cannot be
 * used.
 */
export function createEmbeddedLog(options: EmbeddedLogOptions): LocalEventLog {
  const path = resolve(options.path);
  const store = new EmbeddedStore(
    options,
    () => openLocked(path, options),
    (topic) => localLog.appended(topic),
  );
  if (options.metrics !== undefined) registerEmbeddedMetrics(options.metrics, store.writes);
  const localLog = new LocalLog({
    store,
    clock: options.clock,
    // Not a timer: those are no finer than a millisecond. After this turn's sockets, before the next turn's.
    schedule: setImmediate,
    queueRecordsMax: options.queueRecordsMax ?? 10_000,
  });
  return new LocalEventLog(localLog);
}

async function openLocked(path: string, options: EmbeddedLogOptions): Promise<TableFile> {
  try {
    await mkdir(path, { recursive: true });
  } catch (thrown) {
    throw await diskErrorFrom(thrown, path, 'opening');
  }
  const lock = await FolderLock.acquire(path, options.clock);
  try {
    const file = openFile(path);
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

function openFile(path: string): TableFile {
  const root = open({
    path,
    // Whatever the folder is called: otherwise LMDB takes a name with a dot for a file.
    noSubdir: false,
    maxDbs: 8,
    // A transaction's promise then means: flushed (fdatasync of the pages, then the head page through a file opened
    // with O_DSYNC). Flushing behind the commit was measured to be no faster, and has two promises to confuse.
    overlappingSync: false,
    // One transaction for each `batch`, and no promise of the library's own that no caller could catch.
    eventTurnBatching: false,
  });
  const databases: Database<Buffer, Buffer>[] = [];
  const table = (name: string): Table => {
    const database = root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' });
    databases.push(database);
    return tableOf(database);
  };
  /** Pages of the file that no table uses: retention gave them back, and the next transactions take them again. */
  function reusableBytes(): number {
    const { free, lastPageNumber, pageSize } = statsOf(root);
    let used = pagesOf(statsOf(root)) + pagesOf(free);
    for (const database of databases) used += pagesOf(statsOf(database));
    return Math.max(0, lastPageNumber + 1 - used) * pageSize;
  }
  return {
    records: table('records'),
    latest: table('latest'),
    meta: table('meta'),
    groups: table('groups'),
    async transaction(apply, size) {
      assertRoom(path, size, reusableBytes);
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
  /** The table of free pages. */
  readonly free: PageCounts;
}

/** The library declares them as `{}`. */
function statsOf(database: { getStats(): object }): FileStats {
  return database.getStats() as FileStats;
}

function pagesOf({ treeBranchPageCount, treeLeafPageCount, overflowPages }: PageCounts): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages;
}

function tableOf(database: Database<Buffer, Buffer>): Table {
  return {
    get: (key) => database.getBinary(key),
    // The promises of the single operations add nothing to the one of the batch.
    put: (key, value) => void database.put(key, value),
    remove: (key) => void database.remove(key),
    range: (start, end, limit) => database.getRange({ start, end, limit }) as Iterable<Entry>,
    lastKey(from, until) {
      // Backwards, the start is the upper end: a key equal to it would count, but `until` is never a key that is in
      // use. The lower end is checked here: as `end` it would be exclusive, and a partition with one record would look
      // empty.
      for (const key of database.getKeys({ start: until, reverse: true, limit: 1 })) {
        return key.compare(from) >= 0 ? key : undefined;
      }
      return undefined;
    },
  };
}
