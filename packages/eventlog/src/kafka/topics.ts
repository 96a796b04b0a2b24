import { createHash } from 'node:crypto';
import type { Clock } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import type { Logger } from '@tailrace/platform/logger';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { type NewRecord, recordEnd, type TopicInfo, type TopicSpec } from '../event-log.ts';
import { assertTopicSpec } from '../topic.ts';
import { kafkajsTypeOf } from './errors.ts';
import type { KafkaLink } from './link.ts';
import type { TopicMetadata } from './metadata.ts';
import type { KafkaRanges } from './read.ts';

export interface KafkaTopicsOptions {
  readonly link: KafkaLink;
  readonly ranges: KafkaRanges;
  readonly clock: Clock;
  readonly logger: Logger;
  append(topic: string, records: readonly NewRecord[]): Promise<unknown>;
  /** The compacted topic in which the epochs are written down. */
  readonly metaTopic: string;
  /** -1: the broker's default. */
  readonly replicationFactor: number;
  readonly timeoutMs: number;
}

/** What stands in the meta topic for a topic. */
interface TopicNote {
  readonly epoch: string;
  readonly topicId: string;
  readonly partitions: number;
}

const createTimeoutMs = 5000;
/**
 * A start does not wait longer for the note to be written: nothing depends on it, and its topic may be away, or full of
 * others' records.
 */
const noteMs = 2000;
const megabyte = 1_048_576;

/**
 * Topics as they have to be, and their epochs.
 *
 * An epoch is worked out from the topic ID, a random UUID that Kafka's controller gives a topic when it is made
 * (KIP-516), and the number of partitions: it changes when the topic is deleted and created again, or its partitions
 * change, and never otherwise; all processes come to the same without asking each other, and there is no race between
 * two that make the topic at once. The meta topic shows it to people and tools: key topic name, value JSON.
 */
export class KafkaTopics {
  readonly #options: KafkaTopicsOptions;
  readonly #notes = new Map<string, TopicNote>();
  #notesReadTo = 0;

  constructor(options: KafkaTopicsOptions) {
    this.#options = options;
  }

  async ensure(spec: TopicSpec): Promise<TopicInfo> {
    assertTopicSpec(spec);
    const topic = await this.#make(spec);
    const partitions = topic.leaders.length;
    if (partitions !== spec.partitions) {
      const wrong = `expected ${spec.partitions} partitions, got ${partitions}`;
      const advice = `ask for ${partitions}, or use another topic prefix`;
      throw new TailraceError('invalid_config', `topic ${shown(spec.name)}: ${wrong}; ${advice}`);
    }
    const epoch = epochOf(topic);
    const { clock } = this.#options;
    await withinDeadline(clock, noteMs, () => this.#note(spec.name, { epoch, topicId: topic.id, partitions }));
    return { name: spec.name, partitions, epoch };
  }

  /** Asks the brokers, whatever was known. */
  async describe(name: string): Promise<TopicInfo> {
    const topic = await this.#options.link.lookUp(name, this.#options.timeoutMs);
    return { name, partitions: topic.leaders.length, epoch: epochOf(topic) };
  }

  /**
   * The topic, made if it is missing: then when each of its partitions has a leader. Of one that is there some may be
   * away; the others are served all the same.
   */
  async #make(spec: TopicSpec): Promise<TopicMetadata> {
    const { link, logger, timeoutMs } = this.#options;
    const { name } = spec;
    const found = await this.#find(name);
    if (found !== undefined) {
      const away = [...found.leaders.keys()].filter((partition) => !hasLeader(found, partition));
      if (away.length > 0) logger.warn({ topic: name, partitions: away }, 'partitions have no leader at present');
      return found;
    }
    await this.#create(spec);
    return await link.retry(`create topic ${shown(name)}`, timeoutMs, async () => {
      const topic = await this.#find(name);
      if (topic === undefined) throw new TailraceError('unavailable', 'the brokers do not know it yet');
      if ([...topic.leaders.keys()].every((partition) => hasLeader(topic, partition))) return topic;
      throw new TailraceError('unavailable', `topic ${shown(name)} has partitions without a leader`);
    });
  }

  async #find(name: string): Promise<TopicMetadata | undefined> {
    const { link, timeoutMs } = this.#options;
    try {
      return await link.lookUp(name, timeoutMs);
    } catch (thrown) {
      if ((thrown as TailraceError).code === 'not_found') return undefined;
      throw thrown;
    }
  }

  async #create(spec: TopicSpec): Promise<void> {
    const { link, timeoutMs, replicationFactor } = this.#options;
    const configEntries = Object.entries(settingsOf(spec)).map(([name, value]) => ({ name, value }));
    const { name: topic, partitions: numPartitions } = spec;
    const request = { topics: [{ topic, numPartitions, replicationFactor, configEntries }], timeout: createTimeoutMs };
    await link.retry(`create topic ${shown(topic)}`, timeoutMs, async () => {
      try {
        await (await link.controller()).createTopics(request);
      } catch (thrown) {
        // Another process was quicker: it is the same topic.
        if (kafkajsTypeOf(thrown) !== 'TOPIC_ALREADY_EXISTS') throw thrown;
      }
    });
  }

  /** Writes the note where it is missing or differs. The product does not read it. */
  async #note(name: string, note: TopicNote): Promise<void> {
    const { metaTopic, append, logger } = this.#options;
    if (name === metaTopic) return;
    try {
      const spec = { name: metaTopic, partitions: 1, retentionMs: Infinity, retentionBytes: Infinity, compacted: true };
      await this.#make(spec);
      await this.#readNotes();
      const known = this.#notes.get(name);
      if (known?.epoch === note.epoch && known.topicId === note.topicId) return;
      await append(metaTopic, [{ key: name, value: Buffer.from(JSON.stringify(note)) }]);
      this.#notes.set(name, note);
    } catch (thrown) {
      logger.warn(
        { topic: name, metaTopic, error: thrown },
        'cannot write the epoch of a topic down; going on without',
      );
    }
  }

  async #readNotes(): Promise<void> {
    for await (const records of this.#options.ranges.read(this.#options.metaTopic, 0, { from: this.#notesReadTo })) {
      for (const record of records) {
        const { key, value } = record;
        this.#notesReadTo = recordEnd(record);
        const note = noteFrom(value);
        if (note === undefined) this.#notes.delete(key);
        else this.#notes.set(key, note);
      }
    }
  }
}

function hasLeader({ leaders }: TopicMetadata, partition: number): boolean {
  return (leaders[partition] ?? -1) >= 0;
}

/** 12 characters: short, because every position token carries it. */
function epochOf({ id, leaders }: TopicMetadata): string {
  return createHash('sha256').update(`${id}/${leaders.length}`).digest('base64url').slice(0, 12);
}

/** Undefined for what others have written there. */
function noteFrom(value: Uint8Array): TopicNote | undefined {
  try {
    const { epoch, topicId, partitions } = JSON.parse(Buffer.from(value).toString());
    if (typeof epoch !== 'string' || typeof topicId !== 'string' || typeof partitions !== 'number') return undefined;
    return { epoch, topicId, partitions };
  } catch {
    return undefined;
  }
}

/**
 * https://kafka.apache.org/documentation/#topicconfigs. Retention and compaction work on whole closed segments, so a
 * segment is an eighth of what is kept, or a few megabytes where a compacted topic is read back as a whole.
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
