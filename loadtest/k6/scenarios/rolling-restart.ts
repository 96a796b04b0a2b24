import { loadTest } from '../lib/loadtest.ts';

/** It only watches. Who restarts: `make loadtest SCENARIO=rolling-restart` does so on this machine or by ROLL_COMMAND; else you, within DURATION. */
const test = loadTest({
  name: 'rolling-restart',
  what: 'nodes are restarted one after the other while everybody watches',
  defaults: { CLIENTS: 500, DEVICES: 500, LINE: 10, RATE: 5000, duration: '90s' },
  isRolling: true,
});

export const { options, setup, watcher, publisher, handleSummary } = test;
