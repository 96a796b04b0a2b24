import { loadTest } from '../lib/loadtest.ts';

/**
 * Aborts as soon as the p99 of the whole run, or the senders, miss their objective; the summary has the level at that
 * time. Run it against a copy of an installation.
 */
const test = loadTest({
  name: 'breakpoint',
  what: 'a rising load until an objective is not met: what is the limit?',
  defaults: { CLIENTS: 4000, DEVICES: 4000, LINE: 10, RATE: 200_000, duration: '10m' },
  load: [
    [0, 0.05],
    [1, 1],
  ],
  isBreakpoint: true,
});

export const { options, setup, watcher, publisher, handleSummary } = test;
