import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulateWithout } from './simulation/mutation-run.ts';
import { simulate } from './simulation/run.ts';

/** Whole clusters under virtual time, the last of them with control: `make simulate` runs many more of them. */
const firstSeeds = 6;
const digests = new Map<number, string>();

async function assertNoViolation(seed: number): Promise<string> {
  const { violations, digest } = await simulate({ seed });
  const facts = violations.map(({ invariant, facts: what }) => `${invariant}: ${what}`);
  assert.deepEqual(facts, [], `seed ${seed}; replay it with: make simulate SEED=${seed}`);
  return digest;
}

test('failures of nodes, log, bus and clients violate no invariant', async () => {
  for (let seed = 1; seed <= firstSeeds; seed++) digests.set(seed, await assertNoViolation(seed));
});

test('the same seed is the same run, to the last frame', async () => {
  const first = digests.get(2) ?? (await assertNoViolation(2));
  assert.equal(await assertNoViolation(2), first);
});

test('the checker finds the lack of a mechanism', async () => {
  const { violations } = await simulateWithout('message IDs are not stored', 1);
  assert.equal(violations[0]?.invariant, 'I1 once per ID');
});
