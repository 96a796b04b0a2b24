import { loadTest } from '../lib/loadtest.ts';

/** The usual load of one installation: each device reports once a second, and ten clients watch each line. */
const test = loadTest({
  name: 'average',
  what: 'a usual day: 2,000 clients, 20,000 reports a second',
  defaults: { CLIENTS: 2000, DEVICES: 2000, LINE: 10, RATE: 20_000, duration: '60s' },
});

export const { options, setup, watcher, publisher, handleSummary } = test;
