import { loadTest } from '../lib/loadtest.ts';

/** Everybody comes within some seconds, and devices that were calm all speak. */
const test = loadTest({
  name: 'spike',
  what: 'from a tenth to everything within seconds, and back: an alarm that everybody looks at',
  defaults: { CLIENTS: 2000, DEVICES: 2000, LINE: 10, RATE: 20_000, SLO_LATENCY_MS: 1000, duration: '2m' },
  load: [
    [0, 0.1],
    [0.4, 0.1],
    [0.42, 1],
    [0.6, 1],
    [0.62, 0.1],
    [1, 0.1],
  ],
  crowd: [
    [0, 0.1],
    [0.38, 0.1],
    [0.42, 1],
    [0.7, 1],
    [0.75, 0.1],
    [1, 0.1],
  ],
});

export const { options, setup, watcher, publisher, handleSummary } = test;
