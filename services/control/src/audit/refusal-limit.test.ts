import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics } from '@tailrace/platform/metrics';
import { RefusalLimit, refusalLimits } from './refusal-limit.ts';

test('refusals of one subject have a bounded number of entries, and the next entry counts those without', () => {
  let nowMs = 1_000;
  const metrics = createMetrics({ service: 'control', node: 'c1', processMetrics: false });
  const limit = new RefusalLimit({ monotonic: () => nowMs }, metrics);
  const taken = Array.from({ length: refusalLimits.burst + 50 }, () => limit.take('anna'));
  assert.deepEqual(taken.slice(0, refusalLimits.burst), Array(refusalLimits.burst).fill(0));
  assert.deepEqual(taken.slice(refusalLimits.burst), Array(50).fill(undefined));
  assert.equal(limit.take('bob'), 0, 'another subject has its own');
  nowMs += 60_000;
  const next = Array.from({ length: 61 }, () => limit.take('anna'));
  assert.deepEqual(next, [50, ...Array(59).fill(0), undefined]);
});

test('of the subjects, the one that was refused longest ago is forgotten', () => {
  const limit = new RefusalLimit({ monotonic: () => 1_000 });
  for (let n = 0; n < refusalLimits.burst; n++) limit.take('anna');
  for (let n = 0; n < 9_999; n++) limit.take(`s${n}`);
  assert.equal(limit.take('anna'), undefined);
  for (let n = 0; n < 10_000; n++) limit.take(`t${n}`);
  assert.equal(limit.take('anna'), 0);
});
