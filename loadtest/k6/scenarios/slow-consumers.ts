import { loadTest } from '../lib/loadtest.ts';

/** The slow ones watch all devices, so that what waits for them is more than buffers hold. */
const test = loadTest({
  name: 'slow-consumers',
  what: 'some clients read far too slowly; the others must not notice, and nobody misses anything without being told',
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
