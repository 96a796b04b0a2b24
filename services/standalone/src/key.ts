import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWholeFile } from '@tailrace/platform/whole-file';
import { TailraceError } from '@tailrace/protocol/error';

const keyBytes = 48;

/** The key that tokens of this installation are signed with: made at the first start, kept beside the data, for the owner's eyes only. */
export async function keyFrom(dataDir: string): Promise<string> {
  const file = join(dataDir, 'key');
  try {
    await mkdir(dataDir, { recursive: true });
    const kept = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    // A disk that was full, or a power cut, may have left an empty file.
    if (kept.trim() !== '') return kept.trim();
    const key = randomBytes(keyBytes).toString('base64url');
    await writeWholeFile(file, `${key}\n`);
    return key;
  } catch (cause) {
    const why = (cause as Error).message;
    throw new TailraceError(
      'invalid_config',
      `dataDir: ${dataDir} cannot be written (${why}); name a folder that can, or free its disk`,
      { cause },
    );
  }
}
