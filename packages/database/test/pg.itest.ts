import { silentLogger } from '@tailrace/platform/logger';
import { startPostgres } from '@tailrace/testkit/postgres';
import { createPgDatabase } from '../src/pg.ts';
import { databaseContract } from './contract.ts';

databaseContract('pg', async () => {
  const server = await startPostgres();
  return {
    open: async () => {
      const url = await server.createDatabase();
      return (limits) => createPgDatabase({ url, logger: silentLogger, ...limits });
    },
    close: () => server.stop(),
  };
});
