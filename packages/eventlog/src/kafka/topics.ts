import { createHash } from 'node:crypto';
import type { Clock } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import type { Logger } from '@tailrace/platform/logger';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { type NewRecord, recordEnd, type TopicInfo, type TopicSpec } from '../event-log.ts';
import { assertTopicSpec } from '../topic.ts';
import type { KafkaClient } from './client.ts';
import { kafkajsTypeOf } from './errors.ts';
import type { TopicMetadata } from './metadata.ts';
import type { KafkaRangeReader } from './range-reader.ts';

export interface KafkaTopicsOptions {
  readonly client: KafkaClient;
  readonly rangeReader: KafkaRangeReader;
  readonly clock: Clock;
  readonly logger: Logger;
  append(topic: string, records: readonly NewRecord[]): Promise<unknown>;
  /** The compacted topic with the epochs. */
  readonly metaTopic: string;
  /** -1: the broker's default. */
  readonly replicationFactor: number;
  readonly timeoutMs: number;
}

/** The value of a record of the meta topic. */
interface EpochEntry {
  readonly epoch: string;
  readonly topicId: string;
  readonly partitions: number;
}

const createTimeoutMs = 5000;
/** How long a start waits for its record of the meta topic, which may be unreachable. Nothing depends on it. */
const writeMs = 2000;
const megabyte = 1_048_576;

/**
 * Creates topics, and determines their epochs.
 *
 * An epoch is derived from the number of partitions and the topic ID, a random UUID that Kafka's controller assigns to
 * a new topic (KIP-516). It changes when the topic is re-created or its partitions change, and never otherwise. All
 * processes derive the same epoch without coordination, also if two create the topic concurrently. The meta topic has
 * it for people and tools: the key is the name of the topic, the value JSON.
 */
export class KafkaTopics {
  readonly #options: KafkaTopicsOptions;
  readonly #entries = new Map<string, EpochEntry>();
  #entriesReadTo = 0;
  /** The ID of the meta topic with these entries. A re-created one has none of them. */
  #metaTopicId = '';

  constructor(options: KafkaTopicsOptions) {
    this.#options = options;
  }

  async ensure(spec: TopicSpec): Promise<TopicInfo> {
    assertTopicSpec(spec);
    const topic = await this.#createMissing(spec);
    const partitions = topic.leaders.length;
    if (partitions !== spec.partitions) {
      const wrong = `expected ${spec.partitions} partitions, got ${partitions}`;
      const advice = `use ${partitions}, or another topic prefix`;
      throw new TailraceError('invalid_config', `topic ${shown(spec.name)}: ${wrong}; ${advice}`);
    }
    const epoch = epochOf(topic);
    const { clock } = this.#options;
    await withinDeadline(clock, writeMs, () => this.#writeEntry(spec.name, { epoch, topicId: topic.id, partitions }));
    return { name: spec.name, partitions, epoch };
  }

  /** Requests the current metadata of a topic. */
  async describe(name: string): Promise<TopicInfo> {
    const topic = await this.#options.client.lookUp(name, this.#options.timeoutMs);
    return { name, partitions: topic.leaders.length, epoch: epochOf(topic) };
  }

  /**
   * Creates the topic if it is missing, and waits until each partition has a leader. Partitions of an existing topic
   * may have no leader; the others are served.
   */
  async #createMissing(spec: TopicSpec): Promise<TopicMetadata> {
    const { client, logger, timeoutMs } = this.#options;
    const { name } = spec;
    const found = await this.#find(name);
    if (found !== undefined) {
      const leaderless = [...found.leaders.keys()].filter((partition) => !hasLeader(found, partition));
      if (leaderless.length > 0) logger.warn({ topic: name, partitions: leaderless }, 'partitions have no leader');
      return found;
    }
    await this.#create(spec);
    return await client.retry(`create topic ${shown(name)}`, timeoutMs, async () => {
      const topic = await this.#find(name);
      if (topic === undefined) throw new TailraceError('unavailable', 'the brokers do not know it yet');
      if ([...topic.leaders.keys()].every((partition) => hasLeader(topic, partition))) return topic;
      throw new TailraceError('unavailable', `topic ${shown(name)} has partitions without a leader`);
    });
  }

  async #find(name: string): Promise<TopicMetadata | undefined> {
    const { client, timeoutMs } = this.#options;
    try {
      return await client.lookUp(name, timeoutMs);
    } catch (thrown) {
      if ((thrown as TailraceError).code === 'not_found') return undefined;
      throw thrown;
    }
  }

  async #create(spec: TopicSpec): Promise<void> {
    const { client, timeoutMs, replicationFactor } = this.#options;
    const configEntries = Object.entries(settingsOf(spec)).map(([name, value]) => ({ name, value }));
    const { name: topic, partitions: numPartitions } = spec;
    const request = { topics: [{ topic, numPartitions, replicationFactor, configEntries }], timeout: createTimeoutMs };
    await client.retry(`create topic ${shown(topic)}`, timeoutMs, async () => {
      try {
        await (await client.controller()).createTopics(request);
      } catch (thrown) {
        // Another process has created the topic.
        if (kafkajsTypeOf(thrown) !== 'TOPIC_ALREADY_EXISTS') throw thrown;
      }
    });
  }

  /** Writes the record of the meta topic if it is missing or differs. For people and tools. */
  async #writeEntry(name: string, entry: EpochEntry): Promise<void> {
    const { client, metaTopic, append, logger } = this.#options;
    if (name === metaTopic) return;
    try {
      const spec = { name: metaTopic, partitions: 1, retentionMs: Infinity, retentionBytes: Infinity, compacted: true };
      await client.retry(`write to topic ${shown(metaTopic)}`, writeMs, async () => {
        await this.#readEntries(await this.#createMissing(spec));
        const known = this.#entries.get(name);
        if (known?.epoch === entry.epoch && known.topicId === entry.topicId) return;
        await append(metaTopic, [{ key: name, value: Buffer.from(JSON.stringify(entry)) }]);
        this.#entries.set(name, entry);
      });
    } catch (thrown) {
      logger.warn(
        { topic: name, metaTopic, error: thrown },
        'cannot write the epoch of a topic to the meta topic; continuing without it',
      );
    }
  }

  async #readEntries({ id }: TopicMetadata): Promise<void> {
    if (id !== this.#metaTopicId) {
      this.#metaTopicId = id;
      this.#entriesReadTo = 0;
      this.#entries.clear();
    }
    for await (const records of this.#options.rangeReader.read(this.#options.metaTopic, 0, {
      from: this.#entriesReadTo,
    })) {
      for (const record of records) {
        const { key, value } = record;
        this.#entriesReadTo = recordEnd(record);
        const entry = entryFrom(value);
        if (entry === undefined) this.#entries.delete(key);
        else this.#entries.set(key, entry);
      }
    }
  }
}

function hasLeader({ leaders }: TopicMetadata, partition: number): boolean {
  return (leaders[partition] ?? -1) >= 0;
}

/** Returns the epoch: 12 characters, because every position token has it. */
function epochOf({ id, leaders }: TopicMetadata): string {
  return createHash('sha256').update(`${id}/${leaders.length}`).digest('base64url').slice(0, 12);
}

/** Parses a record of the meta topic. Returns undefined for records of other programs. */
function entryFrom(value: Uint8Array): EpochEntry | undefined {
  try {
    const { epoch, topicId, partitions } = JSON.parse(Buffer.from(value).toString());
    if (typeof epoch !== 'string' || typeof topicId !== 'string' || typeof partitions !== 'number') return undefined;
    return { epoch, topicId, partitions };
  } catch {
    return undefined;
  }
}

/**
 * Returns the topic configs (https://kafka.apache.org/documentation/#topicconfigs). Retention and compaction work on
 * closed segments: a segment is an eighth of the retention, and a few megabytes in a compacted topic, which is read as
 * a whole.
 */
function settingsOf(spec: TopicSpec): Record<string, string> {
  if (spec.compacted === true) {
    return { 'cleanup.policy': 'compact', 'segment.bytes': String(32 * megabyte), 'segment.ms': '3600000' };
  }
  const { retentionMs, retentionBytes } = spec;
  const segmentBytes = Math.min(1024 * megabyte, Math.max(16 * megabyte, Math.floor(retentionBytes / 8)));
  const segmentMs = Math.min(7 * 86_400_000, Math.max(600_000, Math.floor(retentionMs / 8)));
  return {
    'cleanup.policy': 'delete',
    'retention.ms': limit(retentionMs),
    'retention.bytes': limit(retentionBytes),
    'segment.bytes': String(segmentBytes),
    'segment.ms': String(segmentMs),
  };
}

function limit(value: number): string {
  return Number.isSafeInteger(Math.floor(value)) ? String(Math.floor(value)) : '-1';
}
