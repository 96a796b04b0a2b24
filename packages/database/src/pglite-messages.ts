import type { ServerReport } from './database-error.ts';
import type { SessionResult } from './session.ts';

/** What `pglite-worker.ts` receives at its start. */
export interface PgliteWorkerData {
  /** The data folder of PostgreSQL; undefined: in memory. */
  readonly directory: string | undefined;
  /** The file of a new database, which saves the second that `initdb` takes; undefined: `initdb`. */
  readonly template: string | undefined;
  /** Of PostgreSQL's log, at least: it is kept until the next backup is on the disk. */
  readonly logKeepBytes: number;
}

/** Runs in the order of the messages. */
export type PgliteCall =
  | { readonly call: 'query'; readonly sql: string; readonly parameters: readonly (string | null)[] }
  | { readonly call: 'script'; readonly sql: string }
  /** `sql` is a `COPY` from `/dev/blob`, which has the text. */
  | { readonly call: 'copy'; readonly sql: string; readonly text: string }
  /** Checkpoints, and copies the data folder to a new folder, while no statement runs. */
  | { readonly call: 'backup'; readonly to: string }
  /** Writes the data folder of a database in memory into a file, see `PgliteWorkerData.template`. */
  | { readonly call: 'template'; readonly file: string }
  /** Checkpoints, so that the next start has nothing to recover, and closes the files. */
  | { readonly call: 'close' };

export type PgliteRequest = PgliteCall & { readonly id: number };

export type PgliteReply =
  | { readonly id: number; readonly result: SessionResult | undefined }
  | { readonly id: number; readonly error: ServerReport }
  | { readonly channel: string; readonly payload: string }
  | { readonly started: true }
  /** PostgreSQL itself has stopped: no further call works. */
  | { readonly failed: string };
