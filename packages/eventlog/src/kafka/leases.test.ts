import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import type { StartPositions } from '../eventlog.ts';
import { KafkaLeases, type KafkaLeasesOptions } from './leases.ts';

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
