import { silentLogger } from '@tailrace/platform/logger';
import { embeddedTemplate } from '@tailrace/testkit/embedded-database';
import { createPgliteDatabase } from '../src/pglite.ts';
import { databaseContract } from './contract.ts';

databaseContract('pglite', async () => ({
  open: async () => {
    const template = await embeddedTemplate();
    return (limits) => createPgliteDatabase({ logger: silentLogger, template, ...limits });
  },
  close: async () => {},
}));
