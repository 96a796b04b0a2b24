import { loadTest } from '../lib/loadtest.ts';

/** It ends as soon as the p99 of all so far, or the senders, do not hold; the level of then is in the summary. Run it against a copy. */
const test = loadTest({
  name: 'breakpoint',
  what: 'more and more until an objective is missed: where is the end?',
  defaults: { CLIENTS: 4000, DEVICES: 4000, LINE: 10, RATE: 200_000, duration: '10m' },
  load: [
    [0, 0.05],
    [1, 1],
  ],
  isBreakpoint: true,
});

export const { options, setup, watcher, publisher, handleSummary } = test;
