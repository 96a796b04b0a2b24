import { rename, rm, writeFile } from 'node:fs/promises';

/**
 * Writes a file whole or not at all, for its owner only (mode 0600): a reader never sees a part of it, and if the
 * process or the machine stops meanwhile the old file stays. Replaces an older file. Rejects as `writeFile` and
 * `rename` do, and then leaves nothing behind.
 */
export async function writeWholeFile(path: string, text: string): Promise<void> {
  const unfinished = `${path}.${process.pid}`;
  try {
    // Flushed, so that after a power cut the new name never has an empty file.
    await writeFile(unfinished, text, { mode: 0o600, flush: true });
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}
