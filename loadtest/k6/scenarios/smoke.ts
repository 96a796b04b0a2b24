import { loadTest } from '../lib/loadtest.ts';

/** Run it before the others: it takes seconds, on any installation. */
const test = loadTest({
  name: 'smoke',
  what: 'a few clients for a few seconds: does it work at all?',
  defaults: { CLIENTS: 20, DEVICES: 40, LINE: 4, RATE: 200, GRACE: 10, duration: '5s' },
});

export const { options, setup, watcher, publisher, handleSummary } = test;
