import { failOnLeaks } from '@tailrace/testkit/leakcheck';
import { startNats } from '@tailrace/testkit/nats';
import { createNatsBus } from '../src/nats.ts';
import { busContract } from './contract.ts';

failOnLeaks();

busContract('nats', async () => {
  const server = await startNats();
  return {
    createBus: (name, log) => createNatsBus({ servers: [server.url], name, log, closeTimeoutMs: 500 }),
    close: () => server.stop(),
  };
});
