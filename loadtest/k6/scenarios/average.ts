import { loadTest } from '../lib/loadtest.ts';

/** What one installation has to carry day by day: each device reports once a second, each line of ten is on ten screens. */
const test = loadTest({
  name: 'average',
  what: 'an ordinary day: 2,000 screens, 20,000 reports a second',
  defaults: { CLIENTS: 2000, DEVICES: 2000, LINE: 10, RATE: 20_000, duration: '60s' },
});

export const { options, setup, watcher, publisher, handleSummary } = test;
