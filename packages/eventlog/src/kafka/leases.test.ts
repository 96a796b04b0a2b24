import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import type { Assignment, LogBatch, StartPositions } from '../eventlog.ts';
import { KafkaDelivery, type Lease } from './delivery.ts';
import type { KafkaFetcher } from './fetcher.ts';
import { KafkaLeases, type KafkaLeasesOptions } from './leases.ts';
import type { KafkaLink } from './link.ts';
import type { KafkaMembership } from './membership.ts';

const topic = 't';

/** Leases of a subscriber that starts each partition at 0, with the deliveries and assignments that it received. */
function setUp() {
  const assignments: Assignment[] = [];
  const received: number[] = [];
  const leases = new Map<number, Lease>();
  const fail = () => assert.fail('nothing is reported');
  const delivery = new KafkaDelivery({
    clock: systemClock,
    recordsMax: 1000,
    bytesMax: 1_000_000,
    onBatches: (batches: readonly LogBatch[]) => {
      for (const { partition } of batches) received.push(partition);
    },
    report: fail,
  });
  const kafkaLeases = new KafkaLeases({
    clock: systemClock,
    subscriber: {
      topics: [topic],
      group: 'g',
      member: 'm',
      flushMs: 0,
      onAssigned: (assignment) => {
        assignments.push(assignment);
        return { [topic]: Object.fromEntries(assignment.gained.map((partition) => [partition, 0])) };
      },
      onBatches: () => {},
    },
    delivery,
    fetcher: {
      add: (added: readonly Lease[]) => {
        for (const lease of added) leases.set(lease.partition, lease);
      },
      remove: () => {},
    } as unknown as KafkaFetcher,
    membership: {} as KafkaMembership,
    link: () =>
      ({ topic: async () => ({ name: topic, errorCode: 0, id: 'id', leaders: [0, 0] }) }) as unknown as KafkaLink,
    report: fail,
  });
  return {
    assignments,
    received,
    async assign(generation: number, partitions: number[], fenced: boolean) {
      kafkaLeases.assign({ generation, partitions, replaced: false }, fenced);
      await turns();
    },
    async push(partition: number) {
      delivery.push(leases.get(partition)!, [{ seq: 0, timeMs: 0, key: 'a', value: new Uint8Array(1) }], 1);
      await turns();
    },
  };
}

async function turns(): Promise<void> {
  for (let n = 0; n < 10; n++) await new Promise((resolve) => setImmediate(resolve));
}

test('a member that was expelled, and is assigned its partitions in the next generation, goes on reading them', async () => {
  const { assignments, received, assign, push } = setUp();
  await assign(7, [0], false);
  await push(0);
  await assign(8, [0, 1], true);
  await push(0);
  await push(1);
  assert.deepEqual(received, [0, 0, 1]);
  assert.deepEqual(
    assignments.map(({ gained, lost }) => ({ gained, lost })),
    [
      { gained: [0], lost: [] },
      { gained: [1], lost: [] },
    ],
  );
});

test('a member that was expelled, and returns after a generation of others, loses all first', async () => {
  const { assignments, received, assign, push } = setUp();
  await assign(7, [0], false);
  await assign(9, [0], true);
  await push(0);
  assert.deepEqual(received, [0]);
  assert.deepEqual(
    assignments.map(({ generation, gained, lost }) => ({ generation, gained, lost })),
    [
      { generation: 7, gained: [0], lost: [] },
      { generation: 8, gained: [], lost: [0] },
      { generation: 9, gained: [0], lost: [] },
    ],
  );
});

test('a start position that fails after the member has ended is no unhandled rejection', async (t) => {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', onUnhandled);
  t.after(() => process.off('unhandledRejection', onUnhandled));
  const start = Promise.withResolvers<number>();
  const answer = Promise.withResolvers<StartPositions>();
  const reported: unknown[] = [];
  const leases = new KafkaLeases({
    clock: createFakeClock(),
    subscriber: { topics: ['t'], onAssigned: () => answer.promise },
    delivery: { boundary: async () => {}, sweep() {}, kick() {} },
    fetcher: { add() {}, remove() {} },
    report: (thrown: unknown) => reported.push(thrown),
  } as unknown as KafkaLeasesOptions);
  leases.assign({ generation: 1, partitions: [0], replaced: false }, false);
  await new Promise((resolve) => setImmediate(resolve));
  leases.end();
  answer.resolve({ t: { 0: start.promise } });
  await new Promise((resolve) => setImmediate(resolve));
  start.reject(new Error('the log cannot be read'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
  assert.deepEqual(reported, []);
});
