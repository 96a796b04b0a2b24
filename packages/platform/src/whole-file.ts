import { rename, writeFile } from 'node:fs/promises';

/**
 * Writes a file whole or not at all, for the owner's eyes only (mode 0600): whoever waits for the file never reads the
 * beginning of it, and a process that dies meanwhile leaves what was there. An older file is replaced. Rejects as
 * `writeFile` and `rename` do.
 */
export async function writeWholeFile(path: string, text: string): Promise<void> {
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, text, { mode: 0o600 });
  await rename(unfinished, path);
}
