import { join } from 'node:path';
import type { Database } from '@tailrace/database/database';
import { createPgliteDatabase, type PgliteOptions, writePgliteTemplate } from '@tailrace/database/pglite';
import { silentLogger } from '@tailrace/platform/logger';
import { cacheDirFrom, cached } from './cache.ts';

/** Of PGlite, whose data another version may not open. */
export const templateVersion = '0.5.17';

/**
 * Returns a PostgreSQL in the memory of this process, not started. Starts in a second, because the new database is a
 * file of the cache.
 */
export async function createEmbeddedDatabase(options: Partial<PgliteOptions> = {}): Promise<Database> {
  const template = await embeddedTemplate();
  return createPgliteDatabase({ logger: silentLogger, template, ...options });
}

/** Returns the file of a new database, for `PgliteOptions.template`. */
export async function embeddedTemplate(): Promise<string> {
  const dir = await cached(cacheDirFrom(process.env), `pglite-${templateVersion}`, (unfinished) =>
    writePgliteTemplate(join(unfinished, 'template.tar')),
  );
  return join(dir, 'template.tar');
}
