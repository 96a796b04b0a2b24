import { loadTest } from '../lib/loadtest.ts';

/** Watch memory and lag of the nodes meanwhile. Few latencies are sampled: k6 keeps every sample. */
const test = loadTest({
  name: 'soak',
  what: 'half of a usual day for hours: what grows or leaks?',
  defaults: { CLIENTS: 1000, DEVICES: 1000, LINE: 10, RATE: 10_000, LATENCY_SAMPLE: 100, duration: '4h' },
});

export const { options, setup, watcher, publisher, handleSummary } = test;
