import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestSizes, serverProfiles } from './server-profile.ts';
import { keepAliveCountOf, lifetimeCountOf, queueOf, subscriptionPlan } from './subscription-plan.ts';

const { default: normal, small } = serverProfiles;

test('tags are in as few subscriptions as the profile allows, by their intervals', () => {
  const tags = Array.from({ length: 300 }, (_, index) => ({ sampleMs: index % 2 === 0 ? 1_000 : 500 }));
  const { subscriptions, left } = subscriptionPlan(tags, 500, small);
  assert.deepEqual(
    subscriptions.map(({ tags: members }) => members.length),
    [249, 51],
  );
  assert.deepEqual(subscriptions[0]!.tags.slice(0, 3), [1, 3, 5]);
  assert.equal(left.length, 0);
});

test('what does not fit into the subscriptions of a profile is left', () => {
  const tags = Array.from({ length: 500 }, () => ({ sampleMs: 1_000 }));
  assert.deepEqual(subscriptionPlan(tags, 500, small).left, [498, 499]);
});

test('a queue has the values of two publish intervals, and is never 1', () => {
  assert.equal(queueOf({ sampleMs: 250 }, 500, normal), 5);
  assert.equal(queueOf({ sampleMs: 10_000 }, 500, normal), 2);
  assert.equal(queueOf({ sampleMs: 50 }, 60_000, serverProfiles.fast), 1_000);
  assert.equal(queueOf({ sampleMs: 250, queue: 20 }, 500, normal), 20);
});

test('the lifetime is at least three keep-alives', () => {
  for (const publishMs of [50, 500, 5_000, 60_000]) {
    const keepAlive = keepAliveCountOf(publishMs);
    assert.ok(keepAlive >= 3 && lifetimeCountOf(publishMs) >= 3 * keepAlive, `${publishMs}`);
  }
});

test('a limit of the server lowers a size and never raises it, and a refusal halves it', () => {
  const sizes = new RequestSizes(small);
  sizes.lower({ nodesPerRead: 1_000, itemsPerCall: 0 });
  assert.deepEqual([sizes.read, sizes.items], [50, 50]);
  sizes.lower({ nodesPerRead: 3, itemsPerCall: 20 });
  assert.deepEqual([sizes.read, sizes.items], [3, 20]);
  assert.ok(sizes.halve('items'));
  assert.equal(sizes.items, 10);
  assert.ok(sizes.halve('read'));
  assert.ok(!sizes.halve('read'), 'a size of 1 is the least');
});
