import { loadTest } from '../lib/loadtest.ts';

/** Steps, each held until it settles: the busiest hour of the year. */
const test = loadTest({
  name: 'stress',
  what: 'more than a usual day, step by step, to one and a half times as much',
  defaults: { CLIENTS: 3000, DEVICES: 3000, LINE: 10, RATE: 30_000, SLO_LATENCY_MS: 500, duration: '5m' },
  load: [
    [0, 0.33],
    [0.3, 0.33],
    [0.35, 0.67],
    [0.6, 0.67],
    [0.65, 1],
    [1, 1],
  ],
  clients: [
    [0, 0.33],
    [0.3, 0.33],
    [0.35, 0.67],
    [0.6, 0.67],
    [0.65, 1],
    [1, 1],
  ],
});

export const { options, setup, watcher, publisher, handleSummary } = test;
