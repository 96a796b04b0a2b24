import { loadTest } from '../lib/loadtest.ts';

/** As after the restart of a proxy: all clients reconnect with their position, after full jitter, and lose nothing. */
const test = loadTest({
  name: 'reconnect-storm',
  what: 'all clients are disconnected at the same time, several times',
  defaults: { CLIENTS: 1000, DEVICES: 1000, LINE: 10, RATE: 10_000, DISCONNECTS: 3, duration: '60s' },
  isStorm: true,
});

export const { options, setup, watcher, publisher, handleSummary } = test;
