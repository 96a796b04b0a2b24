import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed, fuzzSeeds } from './fuzz.ts';

test('without variables a test has the same cases in each run, and the first seeds', () => {
  assert.deepEqual(fuzzed(300, {}), { seed: 20_261_129, numRuns: 300 });
  assert.deepEqual(fuzzed(undefined, { TAILRACE_FUZZ_SEED: '' }), { seed: 20_261_129, numRuns: 100 });
  assert.deepEqual(fuzzSeeds(3, {}), [1, 2, 3]);
});

test('the variables set the seed, and multiply the runs', () => {
  const env = { TAILRACE_FUZZ_SEED: '7', TAILRACE_FUZZ_FACTOR: '10' };
  assert.deepEqual(fuzzed(300, env), { seed: 7, numRuns: 3_000 });
  assert.equal(fuzzSeeds(3, env).length, 30);
});

test('the seeds of two passes do not overlap', () => {
  const of = (seed: number) => fuzzSeeds(5, { TAILRACE_FUZZ_SEED: `${seed}`, TAILRACE_FUZZ_FACTOR: '2' });
  const all = [...of(1), ...of(2), ...of(3)];
  assert.equal(new Set(all).size, all.length);
});

test('a variable that is no integer is an error', () => {
  assert.throws(() => fuzzed(1, { TAILRACE_FUZZ_SEED: 'x' }), /TAILRACE_FUZZ_SEED: expected an integer .* got x/);
  assert.throws(() => fuzzed(1, { TAILRACE_FUZZ_FACTOR: '0' }), /TAILRACE_FUZZ_FACTOR/);
});
