import { loadTest } from '../lib/loadtest.ts';

/** RATE is reports sent a second. Without clients, figures do not include fanout. */
const test = loadTest({
  name: 'ingest',
  what: 'devices only: how much does ingest accept?',
  defaults: { DEVICES: 2000, LINE: 10, RATE: 10_000, BATCH: 200, duration: '30s' },
  onlyIngest: true,
});

export const { options, setup, publisher, handleSummary } = test;
