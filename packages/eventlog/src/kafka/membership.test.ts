import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { KafkaClient } from './client.ts';
import { fetchCommitted, KafkaMembership } from './membership.ts';
import type { KafkaBroker } from './wire.ts';

/** A member of a group with one coordinator, with the answers of the test. */
function setUp(coordinator: Partial<KafkaBroker>) {
  return new KafkaMembership({ coordinator: async () => coordinator as KafkaBroker } as unknown as KafkaClient, {
    group: 'g',
    member: 'm',
    topics: ['t'],
    partitions: 2,
    sessionTimeoutMs: 6_000,
    rebalanceTimeoutMs: 10_000,
    clock: createFakeClock(),
    logger: silentLogger,
  });
}

test('a position is not committed while the group forms its next generation', async () => {
  const commits: number[] = [];
  let generationId = 0;
  let assigned = Promise.withResolvers<{ memberAssignment: Buffer }>();
  const membership = setUp({
    joinGroup: async () => ({ generationId: ++generationId, leaderId: 'other', memberId: 'id', members: [] }),
    syncGroup: () => assigned.promise,
    offsetCommit: async ({ groupGenerationId }) => void commits.push(groupGenerationId),
  });
  const commit = () => membership.commit([{ topic: 't', partition: 0, next: 1 }]);
  assigned.resolve({ memberAssignment: Buffer.alloc(0) });
  await membership.join();
  await commit();
  assigned = Promise.withResolvers();
  const joined = membership.join();
  await new Promise((resolve) => setImmediate(resolve));
  // The broker accepts it once all have the next generation, in which the partition may be another member's.
  await assert.rejects(commit(), { code: 'unavailable', message: /rebalancing/ });
  assigned.resolve({ memberAssignment: Buffer.alloc(0) });
  await joined;
  await commit();
  assert.deepEqual(commits, [1, 2]);
});

test('committed positions are requested without the partitions whose brokers do not answer', async () => {
  const asked: unknown[] = [];
  const coordinator: Partial<KafkaBroker> = {
    async offsetFetch({ topics }) {
      asked.push(...topics.map(({ partitions }) => partitions));
      return { responses: topics.map(({ topic, partitions }) => ({ topic, partitions: answersTo(partitions) })) };
    },
  };
  const answersTo = (some: readonly { partition: number }[]) =>
    some.map(({ partition }) => ({ partition, offset: String(10 * partition) }));
  const partitions: number[] = [];
  for (const partition of [1, 4]) partitions[partition] = partition;
  const committed = await fetchCommitted(coordinator as KafkaBroker, 'g', ['t'], partitions);
  assert.deepEqual(asked, [[{ partition: 1 }, { partition: 4 }]]);
  assert.deepEqual(Object.fromEntries(committed.get('t')!), { 1: 10, 4: 40 });
});
