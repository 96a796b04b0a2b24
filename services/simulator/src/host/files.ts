import { readdir, readFile, statfs } from 'node:fs/promises';
import type { Space } from './disk.ts';

/** The files in which a host shows its state. */
export interface HostFiles {
  /** Returns the text of a file; undefined if it cannot be read. */
  read(path: string): Promise<string | undefined>;
  /** Returns the names in a folder, sorted; none if it cannot be read. */
  list(path: string): Promise<string[]>;
  /** Returns the space on the file system at a mount point; undefined if it is not known. */
  space(path: string): Promise<Space | undefined>;
}

/** Files of the kernel are short; a longer one is ignored. */
const fileCharactersMax = 1_000_000;

export const systemFiles: HostFiles = {
  async read(path) {
    // Missing and forbidden files, and sensors that sleep (EAGAIN, ENODATA), have no value.
    const text = await readFile(path, 'utf8').catch(() => undefined);
    return text === undefined || text.length > fileCharactersMax ? undefined : text;
  },
  async list(path) {
    const names = await readdir(path).catch(() => []);
    return names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  },
  async space(path) {
    const stat = await statfs(path).catch(() => undefined);
    return stat && { blockBytes: stat.bsize, blocks: stat.blocks, free: stat.bfree, available: stat.bavail };
  },
};
