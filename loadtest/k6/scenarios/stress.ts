import { loadTest } from '../lib/loadtest.ts';

/** Steps that are held, so that each can settle: what the busiest hour of the year may bring. */
const test = loadTest({
  name: 'stress',
  what: 'more than an ordinary day, step by step, to one and a half times as much',
  defaults: { CLIENTS: 3000, DEVICES: 3000, LINE: 10, RATE: 30_000, SLO_LATENCY_MS: 500, duration: '5m' },
  load: [
    [0, 0.33],
    [0.3, 0.33],
    [0.35, 0.67],
    [0.6, 0.67],
    [0.65, 1],
    [1, 1],
  ],
  crowd: [
    [0, 0.33],
    [0.3, 0.33],
    [0.35, 0.67],
    [0.6, 0.67],
    [0.65, 1],
    [1, 1],
  ],
});

export const { options, setup, watcher, publisher, handleSummary } = test;
