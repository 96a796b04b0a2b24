import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { Assignment } from '../event-log.ts';
import type { KafkaClient } from './client.ts';
import { KafkaCounts } from './counts.ts';
import { kafkaSettingsFrom } from './settings.ts';
import { KafkaSubscription } from './subscription.ts';
import type { KafkaBroker } from './wire.ts';

const protocolError = (type: string) => Object.assign(new Error(type), { name: 'KafkaJSProtocolError', type });

/** A subscription that is the only member of its group. `failures`: of the next SyncGroup requests. */
async function setUp() {
  const clock = createFakeClock();
  const assignments: Assignment[] = [];
  const failures: Error[] = [];
  let generationId = 0;
  let isRebalancing = false;
  let refreshes = 0;
  const coordinator: Partial<KafkaBroker> = {
    async joinGroup({ groupProtocols }) {
      isRebalancing = false;
      const members = [{ memberId: 'id', memberMetadata: groupProtocols[0]!.metadata }];
      return { generationId: ++generationId, leaderId: 'id', memberId: 'id', members };
    },
    async syncGroup({ groupAssignment }) {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return groupAssignment[0]!;
    },
    async heartbeat() {
      if (isRebalancing) throw protocolError('REBALANCE_IN_PROGRESS');
    },
    leaveGroup: async () => {},
  };
  const send = async () => {
    await clock.sleep(100);
    return { clientSideThrottleTime: 0, errorCode: 0, partitions: [] };
  };
  const client: Partial<KafkaClient> = {
    coordinator: async () => coordinator as KafkaBroker,
    knownTopic: () => ({ name: 't', errorCode: 0, id: 'id', leaders: [1], leaderEpochs: [0] }),
    broker: async () => ({ connectionPool: { pool: [], send } }) as never,
    refresh: async () => void refreshes++,
    close: async () => {},
    errorFrom: (thrown) => thrown as never,
    retry: async (_operation, _deadlineMs, attempt) => await attempt(),
  };
  const subscriber = {
    ...{ topics: ['t'], group: 'g', member: 'm', flushMs: 0 },
    onAssigned(assignment: Assignment) {
      assignments.push(assignment);
      return { t: { 0: 0 } };
    },
    onBatches: () => {},
  };
  const subscription = new KafkaSubscription(client as KafkaClient, 1, subscriber, {
    settings: kafkaSettingsFrom({ brokers: ['a:9092'], logger: silentLogger, clock }),
    counts: new KafkaCounts(),
    createClient: () => assert.fail('reconnects'),
    onStopped: () => {},
  });
  await subscription.start();
  await turn();
  await clock.advance(0);
  return {
    clock,
    failures,
    refreshes: () => refreshes,
    async rebalance() {
      isRebalancing = true;
      await clock.advance(2_000);
    },
    changes: () =>
      assignments.map(({ generation, gained, lost }) => ({
        generation: generation - assignments[0]!.generation,
        gained,
        lost,
      })),
    async stop() {
      const stopped = subscription.member.stop();
      await clock.advance(0);
      await stopped;
      await clock.advance(100);
      assert.equal(clock.pending(), 0);
    },
  };
}

test('after a join without an answer the partitions are lost: the group may have had that generation', async () => {
  const { failures, rebalance, changes, stop } = await setUp();
  failures.push(Object.assign(new Error('closed'), { name: 'KafkaJSConnectionClosedError' }));
  await rebalance();
  assert.deepEqual(changes(), [
    { generation: 0, gained: [0], lost: [] },
    { generation: 1, gained: [], lost: [0] },
    { generation: 2, gained: [0], lost: [] },
  ]);
  await stop();
});

test('after a generation that the group has given up the partitions are retained', async () => {
  const { failures, rebalance, changes, stop } = await setUp();
  failures.push(protocolError('REBALANCE_IN_PROGRESS'));
  await rebalance();
  assert.deepEqual(changes(), [
    { generation: 0, gained: [0], lost: [] },
    { generation: 2, gained: [], lost: [] },
  ]);
  await stop();
});

test('the leaders are refreshed once a minute: an isolated broker answers as leader without an error', async () => {
  const { clock, refreshes, stop } = await setUp();
  assert.equal(refreshes(), 0);
  for (let second = 0; second < 120; second++) await clock.advance(1_000);
  assert.equal(refreshes(), 2);
  await stop();
});
