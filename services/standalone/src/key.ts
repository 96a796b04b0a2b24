import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createWholeFile, writeWholeFile } from '@tailrace/platform/whole-file';
import { TailraceError } from '@tailrace/protocol/error';

const keyBytes = 48;

/**
 * Returns the key that tokens of this installation are signed with. It is made at the first start and kept beside the
 * data, readable for its owner only. Of several first starts at once all return the same key.
 */
export async function keyFrom(dataDir: string): Promise<string> {
  const file = join(dataDir, 'key');
  try {
    await mkdir(dataDir, { recursive: true });
    const made = randomBytes(keyBytes).toString('base64url');
    if (await createWholeFile(file, `${made}\n`)) return made;
    const kept = (await readFile(file, 'utf8')).trim();
    if (kept !== '') return kept;
    // A disk that was full, or a power cut, may have left an empty file.
    await writeWholeFile(file, `${made}\n`);
    return made;
  } catch (cause) {
    const why = (cause as Error).message;
    throw new TailraceError(
      'invalid_config',
      `dataDir: ${dataDir} cannot be written (${why}); name a folder that can, or free its disk`,
      { cause },
    );
  }
}
