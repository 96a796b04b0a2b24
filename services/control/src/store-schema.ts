import { fileURLToPath } from 'node:url';
import type { Database } from '@tailrace/database/database';
import { migrate } from '@tailrace/database/migrations';

/** The migrations of control, in the order of their numbers. */
const migrationsFolder: string = fileURLToPath(new URL('../migrations', import.meta.url));

/**
 * Migrates the store of control to this program. Of several processes one migrates, and the others wait for it. Resolves
 * with the names of the applied migrations; rejects as `migrate` does.
 */
export function migrateStore(database: Database): Promise<readonly string[]> {
  return migrate(database, { directory: migrationsFolder, table: 'control_schema_version' });
}
