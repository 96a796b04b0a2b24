import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { KafkaLink } from '../src/kafka/link.ts';
import type { KafkaEventLogOptions } from '../src/kafka/settings.ts';
import type { KafkaBroker } from '../src/kafka/wire.ts';
import { clusterFactory } from '../src/kafka.ts';

/** Requests that only tests make. */
interface AdminBroker extends KafkaBroker {
  deleteRecords(request: {
    topics: { topic: string; partitions: { partition: number; offset: string }[] }[];
  }): Promise<unknown>;
  deleteTopics(request: { topics: string[]; timeout: number }): Promise<unknown>;
  createAcls(request: { acl: readonly object[] }): Promise<unknown>;
  listGroups(): Promise<{ groups: { groupId: string }[] }>;
}

/** A link of its own for the work, closed afterwards. */
export async function withLink<T>(
  options: Pick<KafkaEventLogOptions, 'brokers'>,
  work: (link: KafkaLink) => Promise<T>,
): Promise<T> {
  const settings = { clientId: 'test', requestTimeoutMs: 10_000, connectTimeoutMs: 3000, logger: silentLogger };
  const createCluster = clusterFactory({ ...options, logger: silentLogger }, settings);
  const link = new KafkaLink({ createCluster, addresses: options.brokers, clock: systemClock });
  try {
    await link.connect(10_000);
    return await work(link);
  } finally {
    await link.close();
  }
}

/** What retention does: the records before `first` are gone. */
export async function deleteRecords(
  options: Pick<KafkaEventLogOptions, 'brokers'>,
  topic: string,
  partition: number,
  first: number,
): Promise<void> {
  await withLink(options, async (link) => {
    const { leaders } = await link.topic(topic, 10_000);
    const leader = (await link.broker(leaders[partition]!)) as AdminBroker;
    await leader.deleteRecords({ topics: [{ topic, partitions: [{ partition, offset: String(first) }] }] });
  });
}

export async function deleteTopic(options: Pick<KafkaEventLogOptions, 'brokers'>, topic: string): Promise<void> {
  await withLink(options, async (link) => {
    await ((await link.controller()) as AdminBroker).deleteTopics({ topics: [topic], timeout: 5000 });
  });
}

/** The groups that the broker knows. */
export async function groupIds(options: Pick<KafkaEventLogOptions, 'brokers'>): Promise<string[]> {
  return await withLink(options, async (link) => {
    const { groups } = await ((await link.anyBroker()) as AdminBroker).listGroups();
    return groups.map(({ groupId }) => groupId);
  });
}

/** Numbers of the protocol (https://kafka.apache.org/protocol.html, CreateAcls). */
const kinds = { topic: 2, group: 3 };
const operations = { Read: 3, Write: 4, Create: 5 };
const literally = 3;
const allowed = 3;

/** Allows the user these operations on the topic or group of this very name, from everywhere. */
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
  await withLink(options, async (link) => {
    await ((await link.controller()) as AdminBroker).createAcls({ acl });
  });
}
