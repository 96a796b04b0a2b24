import { cpSync, fsyncSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { PGlite, type PGliteOptions } from '@electric-sql/pglite';
import { NodeFS } from '@electric-sql/pglite/nodefs';
import { TailraceError } from '@tailrace/protocol/error';
import type { PgliteCall, PgliteWorkerData } from './pglite-messages.ts';
import type { SessionResult } from './session.ts';

/*
 * PostgreSQL in WebAssembly, in the thread that calls it: the thread of an embedded store, and that of a simulation.
 * It runs synchronously: a long statement blocks the thread, and a short one needs no timers and no other thread.
 *
 * PGlite starts PostgreSQL without fsync (`-F`), and its files ignore fsync. Here both work as in a server: a commit is
 * acknowledged when its log is on the disk, and a checkpoint when the tables are. So PostgreSQL's own recovery holds
 * after a kill or a loss of power.
 */

/** An error number of Emscripten (WASI): EIO. */
const ioError = 29;

interface EmscriptenStream {
  readonly nfd: number;
}

class DurableFiles extends NodeFS {
  override async init(...[pg, options]: Parameters<NodeFS['init']>): ReturnType<NodeFS['init']> {
    const { emscriptenOpts } = await super.init(pg, options);
    const sync = (module: unknown) => {
      const { stream_ops } = (module as { NODEFS: { stream_ops: Record<string, unknown> } }).NODEFS;
      stream_ops['fsync'] = fsyncOf;
    };
    return { emscriptenOpts: { ...emscriptenOpts, preRun: [...(emscriptenOpts.preRun ?? []), sync] } };
  }
}

let syncs = 0;

function fsyncOf({ nfd }: EmscriptenStream): number {
  try {
    fsyncSync(nfd);
    syncs++;
    return 0;
  } catch {
    // PostgreSQL stops at a failed fsync, because it does not know what is on the disk, and recovers at the next start.
    return ioError;
  }
}

/** The timer of its messages about a long start stays armed in PGlite, and would keep the process from its exit. */
const noStartMessages = ['-c', 'log_startup_progress_interval=0'];

const durable = [
  ...PGlite.defaultStartParams.filter((parameter) => parameter !== '-F'),
  ...['-c', 'fsync=on'],
  // The only method that calls fsync of the files.
  ...['-c', 'wal_sync_method=fsync'],
  ...['-c', 'min_wal_size=4MB'],
  // A quarter of the default, which saves 80 MB of this process. The system has the files in its memory as well.
  ...['-c', 'shared_buffers=16MB'],
];

/** A new database has 6 MB less with segments of 1 MB, and its log is removed in smaller steps. */
const segments = ['--wal-segsize=1'];

/** Starts PostgreSQL. Rejects with PGlite's own errors. */
export async function openPglite(data: PgliteWorkerData): Promise<PgliteEngine> {
  const { directory, template, logKeepBytes } = data;
  const keep = `wal_keep_size=${Math.ceil(logKeepBytes / 1_048_576)}MB`;
  const options: PGliteOptions = {
    initDbStartParams: segments,
    startParams: [...PGlite.defaultStartParams, ...noStartMessages],
    ...(directory !== undefined && {
      fs: new DurableFiles(directory),
      startParams: [...durable, ...noStartMessages, '-c', keep],
    }),
    ...(template === undefined ? {} : { loadDataDir: new Blob([await readFile(template)]) }),
  };
  const database = await PGlite.create(options);
  if (directory !== undefined) await assertDurable(database);
  // Values stay PostgreSQL's text, in both directions: see values.ts.
  database.serializers = {};
  for (const type of Object.keys(database.parsers)) database.parsers[type] = (text) => text;
  return new PgliteEngine(database, directory);
}

/** A PostgreSQL that runs. Calls of several callers run one after the other. */
export class PgliteEngine {
  readonly #database: PGlite;
  readonly #directory: string | undefined;

  constructor(database: PGlite, directory: string | undefined) {
    this.#database = database;
    this.#directory = directory;
  }

  /** `listener` is called after the commit of a notification, of each channel that is listened to. */
  onNotification(listener: (channel: string, payload: string) => void): void {
    this.#database.onNotification(listener);
  }

  /**
   * Rejects with the error of PostgreSQL, see `ServerReport`; with a `RuntimeError` if PostgreSQL itself has stopped.
   */
  async run(request: PgliteCall): Promise<SessionResult | undefined> {
    const database = this.#database;
    switch (request.call) {
      case 'query':
        return resultFrom(await database.query(request.sql, [...request.parameters], { rowMode: 'array' }));
      case 'script':
        await database.exec(request.sql);
        return undefined;
      case 'copy':
        await database.query(request.sql, [], { blob: new Blob([request.text]) });
        return undefined;
      case 'backup':
        await database.exec('CHECKPOINT');
        cpSync(this.#directory!, request.to, { recursive: true, preserveTimestamps: true });
        return undefined;
      case 'template':
        await writeFile(request.file, new Uint8Array(await (await database.dumpDataDir('none')).arrayBuffer()));
        return undefined;
      case 'close':
        await database.exec('CHECKPOINT');
        await database.close();
        return undefined;
    }
  }
}

/**
 * A later PGlite with other files must not lose what is acknowledged. Without a checkpoint, which removes log that the
 * backup may need.
 */
async function assertDurable(database: PGlite): Promise<void> {
  const before = syncs;
  await database.query("SELECT pg_logical_emit_message(true, 'tailrace', 'synced')");
  if (syncs === before)
    throw new TailraceError('internal', 'embedded store: expected a commit to sync the log, got no file synced');
}

function resultFrom(results: Awaited<ReturnType<PGlite['query']>>): SessionResult {
  const { rows, fields, affectedRows, command } = results;
  const values = rows as unknown as readonly (string | null)[][];
  return {
    fields: fields.map(({ name, dataTypeID }) => ({ name, typeId: dataTypeID })),
    rows: values,
    rowCount: fields.length > 0 ? values.length : (affectedRows ?? 0),
    command: command ?? '',
  };
}
