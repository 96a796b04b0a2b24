import { cpSync, fsyncSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite, type PGliteOptions } from '@electric-sql/pglite';
import { NodeFS } from '@electric-sql/pglite/nodefs';
import { TailraceError } from '@tailrace/protocol/error';
import type { ServerReport } from './database-error.ts';
import type { PgliteCall, PgliteReply, PgliteRequest, PgliteWorkerData } from './pglite-messages.ts';
import type { SessionResult } from './session.ts';

/*
 * The worker thread of an embedded store. PostgreSQL runs synchronously in WebAssembly: a long statement blocks this
 * thread alone.
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

async function open({ directory, template, logKeepBytes }: PgliteWorkerData): Promise<PGlite> {
  const keep = `wal_keep_size=${Math.ceil(logKeepBytes / 1_048_576)}MB`;
  const options: PGliteOptions = {
    initDbStartParams: segments,
    ...(directory === undefined ? {} : { fs: new DurableFiles(directory), startParams: [...durable, '-c', keep] }),
    ...(template === undefined ? {} : { loadDataDir: new Blob([await readFile(template)]) }),
  };
  const database = await PGlite.create(options);
  if (directory !== undefined) await assertDurable(database);
  // Values stay PostgreSQL's text, in both directions: see values.ts.
  database.serializers = {};
  for (const type of Object.keys(database.parsers)) database.parsers[type] = (text) => text;
  return database;
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

function reportFrom(error: unknown): ServerReport {
  const { message, code, constraint, detail } = error as ServerReport;
  return { message, code, constraint, detail };
}

async function run(
  database: PGlite,
  request: PgliteCall,
  { directory }: PgliteWorkerData,
): Promise<SessionResult | undefined> {
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
      cpSync(directory!, request.to, { recursive: true, preserveTimestamps: true });
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

async function serve(data: PgliteWorkerData): Promise<void> {
  const port = parentPort!;
  const send = (reply: PgliteReply) => port.postMessage(reply);
  const database = await open(data);
  database.onNotification((channel, payload) => send({ channel, payload }));
  // One after the other: PGlite would queue them as well, but not report a stop of PostgreSQL to each.
  let last = Promise.resolve();
  port.on('message', ({ id, ...call }: PgliteRequest) => {
    last = last.then(async () => {
      try {
        send({ id, result: await run(database, call, data) });
      } catch (error) {
        send({ id, error: reportFrom(error) });
        // A WebAssembly trap: its memory may be in any state.
        if (error instanceof Error && error.name === 'RuntimeError') send({ failed: error.message });
      }
      if (call.call === 'close') port.close();
    });
  });
  send({ started: true });
}

await serve(workerData as PgliteWorkerData);
