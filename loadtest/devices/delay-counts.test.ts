import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DelayCounts } from './delay-counts.ts';

test('percentiles are those of all delays, over several processes, and no delay is left out', () => {
  const [first, second] = [new DelayCounts(), new DelayCounts()];
  for (let delayMs = 1; delayMs <= 90; delayMs++) first.add(delayMs);
  for (let delayMs = 91; delayMs <= 99; delayMs++) second.add(delayMs);
  second.add(20_000);
  first.addAll(second.toJson());
  assert.equal(first.total, 100);
  assert.ok(Math.abs(first.percentile(0.5) - 50) < 0.2, String(first.percentile(0.5)));
  assert.ok(Math.abs(first.percentile(0.99) - 99) < 0.2, String(first.percentile(0.99)));
  assert.equal(first.percentile(1), 20_000);
  assert.equal(first.mostMs, 20_000);
  assert.equal(new DelayCounts().percentile(0.99), Number.NaN);
});
