import { readdir, readFile, statfs } from 'node:fs/promises';
import type { Space } from './disk.ts';

/** What a host tells about itself in files. A test passes a literal. */
export interface HostFiles {
  /** The text of a file; nothing where it cannot be read. */
  read(path: string): Promise<string | undefined>;
  /** The names in a folder, sorted; none where it cannot be read. */
  list(path: string): Promise<string[]>;
  /** Space on the file system at a mount point; nothing where it cannot be told. */
  space(path: string): Promise<Space | undefined>;
}

/** Files of the kernel are short; a longer one is not what we think it is. */
const fileCharactersMax = 1_000_000;

export const systemFiles: HostFiles = {
  async read(path) {
    // Missing files, sensors that are asleep (EAGAIN, ENODATA) and forbidden ones are all the same here: not told.
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
