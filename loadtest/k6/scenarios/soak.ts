import { loadTest } from '../lib/loadtest.ts';

/** Look at memory and lag of the nodes meanwhile. Latencies are sampled thinly: k6 keeps every sample. */
const test = loadTest({
  name: 'soak',
  what: 'half an ordinary day for hours: what grows, leaks or wears out?',
  defaults: { CLIENTS: 1000, DEVICES: 1000, LINE: 10, RATE: 10_000, LATENCY_SAMPLE: 100, duration: '4h' },
});

export const { options, setup, watcher, publisher, handleSummary } = test;
