import { loadTest } from '../lib/loadtest.ts';

/** RATE is reports sent a second. Nobody watches, so fanout is not in the figures. */
const test = loadTest({
  name: 'ingest',
  what: 'devices only: what does ingest take?',
  defaults: { DEVICES: 2000, LINE: 10, RATE: 10_000, BATCH: 200, duration: '30s' },
  onlyIngest: true,
});

export const { options, setup, publisher, handleSummary } = test;
