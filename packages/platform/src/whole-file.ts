import { randomUUID } from 'node:crypto';
import { link, rename, rm, writeFile } from 'node:fs/promises';

/**
 * Writes a file atomically, for its owner only (mode 0600): a reader never sees a part of it, and if the process or the
 * machine crashes meanwhile the old file stays. Replaces an older file. Rejects as `writeFile` and `rename` do, and
 * then leaves nothing behind.
 */
export async function writeWholeFile(path: string, text: string): Promise<void> {
  await place(path, text, rename);
}

/**
 * Creates a file in the same way. Resolves with false, and does not change the file, if it exists: of several
 * concurrent calls one succeeds.
 */
export async function createWholeFile(path: string, text: string): Promise<boolean> {
  try {
    await place(path, text, link);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function place(path: string, text: string, move: (from: string, to: string) => Promise<void>): Promise<void> {
  const unfinished = `${path}.${randomUUID()}`;
  try {
    // Flushed, so that after a power failure the new name never has an empty file.
    await writeFile(unfinished, text, { mode: 0o600, flush: true });
    await move(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
  }
}
