import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { KafkaClient, patchBroker, patchMetadata } from './client.ts';
import type { TopicMetadata } from './metadata.ts';
import type { KafkaBroker, KafkaCluster, KafkaConnectionPool } from './wire.ts';

class FakeConnection {
  requestQueue = Object.create({ scheduleCheckPendingRequests() {} });
  async connect() {}
  async disconnect() {}
  isConnected() {
    return true;
  }
}

/**
 * Like the broker of kafkajs 2.2.4: connected once its socket is open, also if the next request was not answered.
 */
class FakeBroker {
  readonly connectionPool = { pool: [new FakeConnection()] } as unknown as KafkaConnectionPool;
  isOpen = false;
  versions: object | undefined;
  #answers: boolean;
  constructor(answers: boolean) {
    this.#answers = answers;
  }
  isConnected(): boolean {
    return this.isOpen;
  }
  async connect(): Promise<void> {
    if (this.isConnected()) return;
    this.isOpen = true;
    if (!this.#answers) throw new Error('Request ApiVersions timed out');
    this.versions = {};
  }
  async disconnect(): Promise<void> {
    this.isOpen = false;
  }
  thaw(): void {
    this.#answers = true;
  }
}

test('a client reconnects to a broker that has accepted the connection and not answered', async () => {
  const seed = new FakeBroker(true);
  patchMetadata({ brokerPool: { seedBroker: seed as unknown as KafkaBroker } } as KafkaCluster, () => assert.fail());
  patchBroker(seed);
  const broker = new FakeBroker(false);
  await assert.rejects(broker.connect(), /ApiVersions/);
  assert.equal(broker.isOpen, false);
  // Another request has opened the socket in the meantime.
  broker.isOpen = true;
  assert.equal(broker.isConnected(), false);
  broker.thaw();
  await broker.connect();
  assert.deepEqual(broker.versions, {});
  assert.equal(broker.isConnected(), true);
});

test('a client that is closed while it connects leaves no connection open', async () => {
  const opened = Promise.withResolvers<void>();
  let isOpen = false;
  const cluster = {
    connect: async () => {
      await opened.promise;
      isOpen = true;
    },
    disconnect: async () => {
      isOpen = false;
    },
    refreshMetadata: async () => {},
    getNodeIds: () => [],
  };
  const client = new KafkaClient({
    createCluster: () => cluster as unknown as KafkaCluster,
    addresses: ['a:9092'],
    clock: createFakeClock(),
    random: () => 0,
  });
  const connecting = client.connect(1_000);
  await client.close();
  opened.resolve();
  await assert.rejects(connecting, { code: 'closed' });
  assert.equal(isOpen, false);
});

test('the random number selects the broker, and the next ones follow if it does not answer', async () => {
  const requested: unknown[] = [];
  const client = (random: number) =>
    new KafkaClient({
      createCluster: () =>
        ({
          getNodeIds: () => [1, 2, 3],
          findBroker: async ({ nodeId }: { nodeId: number }) => {
            requested.push(nodeId);
            if (nodeId !== 2) throw new Error('unreachable');
            return { connectionPool: { pool: [] } };
          },
        }) as unknown as KafkaCluster,
      addresses: ['a:9092'],
      clock: createFakeClock(),
      random: () => random,
    });
  for (const random of [0, 0.5, 0.99]) await client(random).anyBroker();
  assert.deepEqual(requested, [1, 2, 2, 3, 1, 2]);
});

test('metadata of a broker that is out of date do not move a partition back to its former leader', async () => {
  const answers: Partial<TopicMetadata>[] = [];
  const send = async () => ({ topics: [{ name: 't', errorCode: 0, id: 'id', ...answers.shift() }] });
  const client = new KafkaClient({
    createCluster: () =>
      ({
        getNodeIds: () => [1],
        findBroker: async () => ({ connectionPool: { pool: [], send } }),
        refreshMetadata: async () => {},
      }) as unknown as KafkaCluster,
    addresses: ['a:9092'],
    clock: createFakeClock(),
    random: () => 0,
  });
  const leadersAfter = async (...some: Partial<TopicMetadata>[]) => {
    for (const answer of some) {
      answers.push(answer);
      if (client.knownTopic('t') === undefined) await client.lookUp('t', 0);
      else await client.refresh();
    }
    return client.knownTopic('t')!.leaders;
  };
  const old = { leaders: [1, 1], leaderEpochs: [4, 4] };
  const current = { leaders: [2, 3], leaderEpochs: [5, 6] };
  assert.deepEqual(await leadersAfter(old, current), [2, 3]);
  assert.deepEqual(await leadersAfter(old, old, old, old, old), [2, 3]);
  const mixed = { leaders: [1, 4], leaderEpochs: [4, 7] };
  assert.deepEqual(await leadersAfter(current, mixed, current), [2, 4], 'each partition by itself');
  const leaderless = { leaders: [-1, 4], leaderEpochs: [-1, 7] };
  assert.deepEqual(await leadersAfter(...Array(9).fill(leaderless), old), [-1, 4], 'an unknown epoch replaces none');
  assert.deepEqual(await leadersAfter({ ...old, id: 'another' }), [1, 1], 'of a re-created topic');
  assert.deepEqual(await leadersAfter({ ...current, id: 'another' }), [2, 3]);
  const restored = Array(6).fill({ ...old, id: 'another' });
  assert.deepEqual(await leadersAfter(...restored), [1, 1], 'the epochs of the cluster have restarted');
});
