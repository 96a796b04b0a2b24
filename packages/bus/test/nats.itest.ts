import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { startNats } from '@tailrace/testkit/nats';
import { createNatsBus } from '../src/nats.ts';
import { busContract } from './contract.ts';

failOnLeaks();

busContract('nats', async () => {
  const server = await startNats();
  return {
    createBus: (name, logger) => createNatsBus({ servers: [server.url], name, logger, closeTimeoutMs: 500 }),
    close: () => server.stop(),
  };
});
