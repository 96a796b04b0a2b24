import { loadTest } from '../lib/loadtest.ts';

/** All clients connect within some seconds, and all devices start to report at their full rate. */
const test = loadTest({
  name: 'spike',
  what: 'from a tenth to the full load within seconds, and back: an alarm that all clients watch',
  defaults: { CLIENTS: 2000, DEVICES: 2000, LINE: 10, RATE: 20_000, SLO_LATENCY_MS: 1000, duration: '2m' },
  load: [
    [0, 0.1],
    [0.4, 0.1],
    [0.42, 1],
    [0.6, 1],
    [0.62, 0.1],
    [1, 0.1],
  ],
  clients: [
    [0, 0.1],
    [0.38, 0.1],
    [0.42, 1],
    [0.7, 1],
    [0.75, 0.1],
    [1, 0.1],
  ],
});

export const { options, setup, watcher, publisher, handleSummary } = test;
