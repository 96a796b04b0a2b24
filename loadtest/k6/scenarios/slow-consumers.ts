import { loadTest } from '../lib/loadtest.ts';

/** The slow clients watch all devices, so that their backlog is larger than buffers. */
const test = loadTest({
  name: 'slow-consumers',
  what: 'some clients read far too slowly; the others are not affected, and no client loses reports without notice',
  defaults: {
    CLIENTS: 200,
    DEVICES: 1000,
    LINE: 10,
    RATE: 20_000,
    SLOW_CLIENTS: 10,
    SLOW_MS: 500,
    GRACE: 30,
    duration: '60s',
  },
  hasSlowClients: true,
});

export const { options, setup, watcher, publisher, slow, handleSummary } = test;
