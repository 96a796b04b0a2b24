import { loadTest } from '../lib/loadtest.ts';

/**
 * Only watches. `make loadtest SCENARIO=rolling-restart` restarts nodes on this machine or by ROLL_COMMAND; with k6
 * alone, restart them yourself within DURATION.
 */
const test = loadTest({
  name: 'rolling-restart',
  what: 'nodes are restarted one after the other while clients watch',
  defaults: { CLIENTS: 500, DEVICES: 500, LINE: 10, RATE: 5000, duration: '90s' },
  isRolling: true,
});

export const { options, setup, watcher, publisher, handleSummary } = test;
