import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patchBroker, patchMetadata } from './client.ts';
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
