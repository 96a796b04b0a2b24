import { loadTest } from '../lib/loadtest.ts';

/** As when a proxy is restarted: everybody comes back with a position, after full jitter, and misses nothing. */
const test = loadTest({
  name: 'reconnect-storm',
  what: 'all clients are cut off at the same moment, several times',
  defaults: { CLIENTS: 1000, DEVICES: 1000, LINE: 10, RATE: 10_000, CUTS: 3, duration: '60s' },
  isStorm: true,
});

export const { options, setup, watcher, publisher, handleSummary } = test;
