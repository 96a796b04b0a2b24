import { shown } from '@tailrace/protocol/error';
import { type Cluster, Kafka, logLevel, type SASLOptions } from 'kafkajs';
import type {
  EventLog,
  LogRecord,
  PartitionBounds,
  ReadRange,
  SubscribeOptions,
  Subscription,
  TopicInfo,
  TopicSpec,
} from './event-log.ts';
import { KafkaClient } from './kafka/client.ts';
import { kafkaCodecs } from './kafka/codecs.ts';
import { KafkaCounts } from './kafka/counts.ts';
import { KafkaEndOffsets } from './kafka/end-offsets.ts';
import { fetchCommitted } from './kafka/membership.ts';
import { earliest, latest } from './kafka/metadata.ts';
import { KafkaProducer, type KafkaProducerStats } from './kafka/producer.ts';
import { backgroundLimits, KafkaRangeReader } from './kafka/range-reader.ts';
import {
  type KafkaCredentials,
  type KafkaEventLogOptions,
  type KafkaSettings,
  kafkaSettingsFrom,
} from './kafka/settings.ts';
import { tlsSockets } from './kafka/sockets.ts';
import { KafkaSubscription } from './kafka/subscription.ts';
import { KafkaTopics } from './kafka/topics.ts';
import type { KafkaCluster } from './kafka/wire.ts';
import { LogState } from './log-state.ts';
import { assertName, assertSamePartitions } from './topic.ts';

export interface KafkaEventLogStats extends KafkaProducerStats {
  /** Records in the queues of all subscriptions. */
  readonly queuedRecords: number;
  readonly queuedRecordsMax: number;
  /** Bytes of these records. */
  readonly queuedBytes: number;
  readonly queuedBytesMax: number;
}

/** The event log on Kafka 3.0 or newer. */
export class KafkaEventLog implements EventLog {
  readonly system = 'kafka';
  readonly #settings: KafkaSettings;
  readonly #createCluster: () => KafkaCluster;
  readonly #subscriptions = new Set<KafkaSubscription>();
  readonly #producerClient: KafkaClient;
  readonly #client: KafkaClient;
  readonly #producer: KafkaProducer;
  readonly append: KafkaProducer['append'];
  readonly appendEach: KafkaProducer['appendEach'];
  /** For metrics. */
  readonly counts = new KafkaCounts();
  readonly #rangeReader: KafkaRangeReader;
  readonly #backgroundClient: KafkaClient;
  readonly #backgroundReader: KafkaRangeReader;
  readonly #endOffsets: KafkaEndOffsets;
  readonly #topics: KafkaTopics;
  readonly #state = new LogState();
  #closed: Promise<void> | undefined;

  constructor(options: KafkaEventLogOptions) {
    this.#settings = kafkaSettingsFrom(options);
    const { clock, logger, lingerMs, batchBytesMax, requestBytesMax, pendingBytesMax } = this.#settings;
    const { appendTimeoutMs, requestTimeoutMs, compression, prefix, replicationFactor } = this.#settings;
    this.#createCluster = clusterFactory(options, this.#settings);
    this.#producerClient = this.#createClient();
    this.#client = this.#createClient();
    this.#rangeReader = new KafkaRangeReader(this.#client, this.counts);
    this.#backgroundClient = this.#createClient();
    this.#backgroundReader = new KafkaRangeReader(this.#backgroundClient, this.counts, backgroundLimits);
    this.#endOffsets = new KafkaEndOffsets(this.#client, clock);
    this.#producer = new KafkaProducer(this.#producerClient, {
      clock,
      state: this.#state,
      lingerMs,
      batchBytesMax,
      requestBytesMax,
      pendingBytesMax,
      appendTimeoutMs,
      acknowledgeTimeoutMs: Math.max(1000, requestTimeoutMs - 1000),
      codec: kafkaCodecs[compression],
      counts: this.counts,
    });
    this.append = this.#producer.append;
    this.appendEach = this.#producer.appendEach;
    this.#topics = new KafkaTopics({
      client: this.#client,
      rangeReader: this.#rangeReader,
      clock,
      logger,
      append: this.append,
      metaTopic: `${prefix}.meta`,
      replicationFactor,
      timeoutMs: appendTimeoutMs,
    });
  }

  async start(): Promise<void> {
    if (this.#state.current === 'new') {
      const { startTimeoutMs } = this.#settings;
      const clients = [this.#client, this.#producerClient, this.#backgroundClient];
      await Promise.all(clients.map((client) => client.connect(startTimeoutMs)));
      // It may have been closed in the meantime.
      if (this.#state.current === 'new') this.#state.enter('open');
    }
    this.#state.assertOpen('start');
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#state.enter('closing');
    await Promise.all([this.#producer.flush(), ...[...this.#subscriptions].map(({ member }) => member.stop())]);
    this.#state.enter('closed');
    await Promise.all([this.#producerClient.close(), this.#client.close(), this.#backgroundClient.close()]);
  }

  async ensureTopic(spec: TopicSpec): Promise<TopicInfo> {
    this.#state.assertOpen('ensure a topic');
    return await this.#topics.ensure(spec);
  }

  async describeTopic(topic: string): Promise<TopicInfo> {
    this.#state.assertOpen('look up a topic');
    return await this.#topics.describe(topic);
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    this.#state.assertOpen('subscribe');
    assertName('group', options.group);
    assertName('member', options.member);
    const client = this.#createClient();
    try {
      const partitions = await partitionsOfAll(client, options.topics, this.#settings.startTimeoutMs);
      const subscription = new KafkaSubscription(client, partitions, options, {
        settings: this.#settings,
        counts: this.counts,
        createClient: () => this.#createClient(),
        onStopped: (stopped) => this.#subscriptions.delete(stopped),
      });
      await subscription.start();
      this.#subscriptions.add(subscription);
      if (this.#state.current !== 'open') await subscription.member.stop();
      this.#state.assertOpen('subscribe');
      return subscription.member;
    } catch (thrown) {
      void client.close();
      throw thrown;
    }
  }

  async *read(topic: string, partition: number, range: ReadRange): AsyncGenerator<readonly LogRecord[]> {
    this.#state.assertOpen('read');
    yield* (range.background ? this.#backgroundReader : this.#rangeReader).read(topic, partition, range);
  }

  async bounds(topic: string, partitions?: readonly number[]): Promise<readonly PartitionBounds[]> {
    this.#state.assertOpen('look up bounds');
    const { startTimeoutMs } = this.#settings;
    const [firsts, nexts] = await Promise.all(
      [earliest, latest].map((timeMs) => this.#client.offsetsInReach(topic, timeMs, startTimeoutMs, partitions)),
    );
    const bounds: PartitionBounds[] = [];
    nexts!.forEach((next, partition) => {
      const first = firsts![partition];
      if (first !== undefined) bounds[partition] = { first, next };
    });
    return bounds;
  }

  async endOffsets(topic: string, waitMs: number): Promise<readonly (number | undefined)[]> {
    this.#state.assertOpen('look up end positions');
    return await this.#endOffsets.endOffsets(topic, waitMs);
  }

  async positionsAt(topic: string, timeMs: number, partitions?: readonly number[]): Promise<readonly number[]> {
    this.#state.assertOpen('look up positions');
    const found = await this.#offsets(topic, Math.max(0, Math.ceil(timeMs)), partitions);
    if (!found.includes(-1)) return found;
    const endOffsets = await this.#offsets(topic, latest, partitions);
    return found.map((seq, partition) => (seq < 0 ? endOffsets[partition]! : seq));
  }

  async lag(group: string, topic: string): Promise<readonly number[]> {
    this.#state.assertOpen('look up lag');
    const bounds = await this.bounds(topic);
    const partitions = bounds.map((_, partition) => partition);
    const committed = await this.#client.retry(
      `look up group ${shown(group)}`,
      this.#settings.startTimeoutMs,
      async () => fetchCommitted(await this.#client.coordinator(group), group, [topic], partitions),
    );
    return bounds.map(({ first, next }, partition) => {
      const position = committed.get(topic)?.get(partition) ?? first;
      return Math.max(0, next - Math.max(first, position));
    });
  }

  /** For metrics. */
  stats(): KafkaEventLogStats {
    let queuedRecords = 0;
    let queuedRecordsMax = 0;
    let queuedBytes = 0;
    let queuedBytesMax = 0;
    for (const { member, buffer } of this.#subscriptions) {
      const { records, recordsMax } = member.queue();
      queuedRecords += records;
      queuedRecordsMax += recordsMax;
      queuedBytes += buffer.bytes;
      queuedBytesMax += buffer.bytesMax;
    }
    return { ...this.#producer.stats(), queuedRecords, queuedRecordsMax, queuedBytes, queuedBytesMax };
  }

  #createClient(): KafkaClient {
    const { brokers, clock, random } = this.#settings;
    return new KafkaClient({ createCluster: this.#createCluster, addresses: brokers, clock, random });
  }

  async #offsets(topic: string, timeMs: number, only?: readonly number[]): Promise<number[]> {
    return await this.#client.offsets(topic, timeMs, this.#settings.startTimeoutMs, only);
  }
}

async function partitionsOfAll(client: KafkaClient, names: readonly string[], timeoutMs: number): Promise<number> {
  const topics: { name: string; partitions: number }[] = [];
  for (const name of names) topics.push({ name, partitions: (await client.topic(name, timeoutMs)).leaders.length });
  assertSamePartitions(topics);
  return topics[0]!.partitions;
}

/** The types of kafkajs require a literal mechanism. */
function saslOptionsOf({ mechanism, username, password }: KafkaCredentials): SASLOptions {
  return { mechanism, username, password } as SASLOptions;
}

/** Returns a function that creates a pool of connections. None is connected yet. */
export function clusterFactory(
  options: KafkaEventLogOptions,
  {
    clientId,
    requestTimeoutMs,
    connectTimeoutMs,
    logger,
  }: Pick<KafkaSettings, 'clientId' | 'requestTimeoutMs' | 'connectTimeoutMs' | 'logger'>,
): () => KafkaCluster {
  const { brokers, tls, sasl } = options;
  const kafka = new Kafka({
    brokers: [...brokers],
    clientId,
    requestTimeout: requestTimeoutMs,
    connectionTimeout: connectTimeoutMs,
    // `KafkaClient.retry` retries, with a deadline.
    retry: { retries: 0 },
    ...(tls === undefined ? {} : { ssl: true, socketFactory: tlsSockets(tls) }),
    ...(sasl === undefined ? {} : { sasl: saslOptionsOf(sasl) }),
    // For debugging: each error is reported once, by the operation that failed.
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ namespace, log: { message, timestamp: _, stack: __, ...facts } }) =>
        logger.debug({ kafkajs: namespace, ...facts }, message),
  });
  return () => {
    let cluster: Cluster | undefined;
    // kafkajs exposes its connections only to the assigners of a consumer. The consumer itself is never connected.
    kafka.consumer({
      groupId: 'never-joined',
      allowAutoTopicCreation: false,
      partitionAssigners: [
        (config) => {
          cluster = config.cluster;
          return {
            name: '',
            version: 0,
            assign: async () => [],
            protocol: () => ({ name: '', metadata: Buffer.alloc(0) }),
          };
        },
      ],
    });
    return cluster as unknown as KafkaCluster;
  };
}
