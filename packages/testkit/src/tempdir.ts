import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder that exists until `remove`. */
export interface TempDir {
  readonly path: string;
  /** With everything in it. Idempotent. */
  remove(): Promise<void>;
}

/** Makes a new empty folder `tailrace-<name>-…` in the system's temp folder. */
export async function createTempDir(name: string): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), `tailrace-${name}-`));
  return {
    path,
    // A process that was killed a moment ago may still be adding files to a folder that is being removed.
    remove: () => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }),
  };
}
