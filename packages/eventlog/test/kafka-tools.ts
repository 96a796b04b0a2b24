import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { KafkaClient } from '../src/kafka/client.ts';
import type { KafkaEventLogOptions } from '../src/kafka/settings.ts';
import type { KafkaBroker } from '../src/kafka/wire.ts';
import { clusterFactory } from '../src/kafka.ts';

/** Requests of tests. */
interface AdminBroker extends KafkaBroker {
  deleteRecords(request: {
    topics: { topic: string; partitions: { partition: number; offset: string }[] }[];
  }): Promise<unknown>;
  deleteTopics(request: { topics: string[]; timeout: number }): Promise<unknown>;
  createAcls(request: { acl: readonly object[] }): Promise<unknown>;
  listGroups(): Promise<{ groups: { groupId: string }[] }>;
}

/** Runs the work with a separate client, which is closed afterwards. */
export async function withClient<T>(
  options: Pick<KafkaEventLogOptions, 'brokers'>,
  work: (client: KafkaClient) => Promise<T>,
): Promise<T> {
  const settings = { clientId: 'test', requestTimeoutMs: 10_000, connectTimeoutMs: 3000, logger: silentLogger };
  const createCluster = clusterFactory({ ...options, logger: silentLogger }, settings);
  const client = new KafkaClient({
    createCluster,
    addresses: options.brokers,
    clock: systemClock,
    random: Math.random,
  });
  try {
    await client.connect(10_000);
    return await work(client);
  } finally {
    await client.close();
  }
}

/** Deletes the records before `first`, as retention does. */
export async function deleteRecords(
  options: Pick<KafkaEventLogOptions, 'brokers'>,
  topic: string,
  partition: number,
  first: number,
): Promise<void> {
  await withClient(options, async (client) => {
    const { leaders } = await client.topic(topic, 10_000);
    const leader = (await client.broker(leaders[partition]!)) as AdminBroker;
    await leader.deleteRecords({ topics: [{ topic, partitions: [{ partition, offset: String(first) }] }] });
  });
}

export async function deleteTopic(options: Pick<KafkaEventLogOptions, 'brokers'>, topic: string): Promise<void> {
  await withClient(options, async (client) => {
    await ((await client.controller()) as AdminBroker).deleteTopics({ topics: [topic], timeout: 5000 });
  });
}

/** Resolves with the groups of the broker. */
export async function groupIds(options: Pick<KafkaEventLogOptions, 'brokers'>): Promise<string[]> {
  return await withClient(options, async (client) => {
    const { groups } = await ((await client.anyBroker()) as AdminBroker).listGroups();
    return groups.map(({ groupId }) => groupId);
  });
}

/** Constants of CreateAcls (https://kafka.apache.org/protocol.html). */
const kinds = { topic: 2, group: 3 };
const operations = { Read: 3, Write: 4, Create: 5 };
const literally = 3;
const allowed = 3;

/** Allows the user these operations on the topic or group of this name, from any host. */
export async function allow(
  options: Pick<KafkaEventLogOptions, 'brokers'>,
  user: string,
  rights: readonly (readonly [kind: keyof typeof kinds, name: string, ...allowed: (keyof typeof operations)[]])[],
): Promise<void> {
  const acl = rights.flatMap(([kind, resourceName, ...names]) =>
    names.map((name) => ({
      resourceType: kinds[kind],
      resourceName,
      resourcePatternType: literally,
      principal: `User:${user}`,
      host: '*',
      operation: operations[name],
      permissionType: allowed,
    })),
  );
  await withClient(options, async (client) => {
    await ((await client.controller()) as AdminBroker).createAcls({ acl });
  });
}
