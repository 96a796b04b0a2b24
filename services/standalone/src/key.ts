import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createWholeFile, writeWholeFile } from '@tailrace/platform/whole-file';
import { shown, TailraceError } from '@tailrace/protocol/error';

const keyBytes = 48;

/**
 * Returns the key that signs the tokens of this installation. The first start creates it beside the data, readable for
 * its owner only. Concurrent first starts return the same key. Throws `invalid_config` if the folder cannot be written.
 */
export async function keyFrom(dataDir: string): Promise<string> {
  const file = join(dataDir, 'key');
  try {
    await mkdir(dataDir, { recursive: true });
    const created = randomBytes(keyBytes).toString('base64url');
    if (await createWholeFile(file, `${created}\n`)) return created;
    const existing = (await readFile(file, 'utf8')).trim();
    if (existing !== '') return existing;
    // A full disk or a power failure may have left an empty file.
    await writeWholeFile(file, `${created}\n`);
    return created;
  } catch (cause) {
    const why = (cause as Error).message;
    throw new TailraceError(
      'invalid_config',
      `dataDir: expected a folder that can be written, got ${shown(dataDir)} (${why}): set another one, or free its disk`,
      { cause },
    );
  }
}
