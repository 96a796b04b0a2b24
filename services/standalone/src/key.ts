import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TailraceError } from '@tailrace/protocol/error';

const keyBytes = 48;

/** The key that tokens of this installation are signed with: made at the first start, kept beside the data, for the owner's eyes only. */
export async function keyFrom(dataDir: string): Promise<string> {
  const file = join(dataDir, 'key');
  try {
    await mkdir(dataDir, { recursive: true });
    try {
      return (await readFile(file, 'utf8')).trim();
    } catch {
      const key = randomBytes(keyBytes).toString('base64url');
      await writeFile(file, `${key}\n`, { mode: 0o600, flag: 'wx' });
      return key;
    }
  } catch (cause) {
    const why = (cause as Error).message;
    throw new TailraceError(
      'invalid_config',
      `dataDir: ${dataDir} cannot be written (${why}); name a folder that can, or free its disk`,
      { cause },
    );
  }
}
