import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sizingText } from './sizing-text.ts';

test('what was measured becomes a table and the rule, worked out for an example', () => {
  const costs = { report: 5e-6, frame: 15e-6, delivery: 2e-6 };
  const text = sizingText(
    { ...costs, connectionKilobytes: 3.6, deviceKilobytes: 1.03, ingestReadings: 1_445_000 },
    8,
    'a machine',
  );
  assert.match(text, /`a`: .* \| 5\.0 µs \| 120,000\/s \|/);
  assert.match(text, /`b`: .* \| 15\.0 µs \| 30,000\/s \|/);
  assert.match(text, /`c`: .* \| 2\.0 µs \| 300,000\/s \|/);
  assert.match(text, /3\.6 KB \| 10,000 in 35 MB/);
  assert.match(text, /1\.03 KB \| 100,000 in 100 MB/);
  assert.match(text, /0\.7 µs \| 870,000\/s/);
  // 20,000 × (5 + 15) µs = 0.4 cores, of which 0.6 fit into one, and one more.
  assert.match(text, /0\.40 cores, so N = 2\./);
  assert.match(text, /On a machine\./);
});
