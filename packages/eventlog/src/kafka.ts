import { shown, TailraceError } from '@tailrace/protocol/error';
import { type Cluster, Kafka, logLevel, type SASLOptions } from 'kafkajs';
import type {
  EventLog,
  LogRecord,
  NewRecord,
  PartitionBounds,
  Position,
  ReadRange,
  SubscribeOptions,
  Subscription,
  TopicInfo,
  TopicSpec,
} from './event-log.ts';
import { kafkaCodecs } from './kafka/codecs.ts';
import { KafkaCounts } from './kafka/counts.ts';
import { KafkaEnds } from './kafka/ends.ts';
import { KafkaLink } from './kafka/link.ts';
import { fetchCommitted } from './kafka/membership.ts';
import { earliest, latest } from './kafka/metadata.ts';
import { KafkaProducer, type KafkaProducerStats } from './kafka/producer.ts';
import { backgroundLimits, KafkaRanges } from './kafka/read.ts';
import { type KafkaEventLogOptions, type KafkaLogin, type KafkaSettings, kafkaSettingsFrom } from './kafka/settings.ts';
import { tlsSockets } from './kafka/sockets.ts';
import { KafkaSubscription } from './kafka/subscription.ts';
import { KafkaTopics } from './kafka/topics.ts';
import type { KafkaCluster } from './kafka/wire.ts';
import { assertName, assertSamePartitions } from './topic.ts';

export interface KafkaEventLogStats extends KafkaProducerStats {
  /** Waiting in the queues of all subscriptions. */
  readonly queuedRecords: number;
  readonly queuedRecordsMax: number;
}

/** `new`: not started. `open`: works. `closing`: what runs finishes. `closed`: never again. */
type State = 'new' | 'open' | 'closing' | 'closed';

/** The event log on Kafka 3.0 or newer. */
export class KafkaEventLog implements EventLog {
  readonly system = 'kafka';
  readonly #settings: KafkaSettings;
  readonly #createCluster: () => KafkaCluster;
  readonly #subscriptions = new Set<KafkaSubscription>();
  readonly #producerLink: KafkaLink;
  readonly #link: KafkaLink;
  readonly #producer: KafkaProducer;
  /** For metrics. */
  readonly counts = new KafkaCounts();
  readonly #ranges: KafkaRanges;
  readonly #backgroundLink: KafkaLink;
  readonly #backgroundRanges: KafkaRanges;
  readonly #ends: KafkaEnds;
  readonly #topics: KafkaTopics;
  #state: State = 'new';
  #closing: Promise<void> | undefined;

  constructor(options: KafkaEventLogOptions) {
    this.#settings = kafkaSettingsFrom(options);
    const { clock, logger, lingerMs, batchBytesMax, requestBytesMax, pendingBytesMax } = this.#settings;
    const { appendTimeoutMs, requestTimeoutMs, compression, prefix, replicationFactor } = this.#settings;
    this.#createCluster = clusterFactory(options, this.#settings);
    this.#producerLink = this.#createLink();
    this.#link = this.#createLink();
    this.#ranges = new KafkaRanges(this.#link, this.counts);
    this.#backgroundLink = this.#createLink();
    this.#backgroundRanges = new KafkaRanges(this.#backgroundLink, this.counts, backgroundLimits);
    this.#ends = new KafkaEnds(this.#link, clock);
    this.#producer = new KafkaProducer(this.#producerLink, {
      clock,
      lingerMs,
      batchBytesMax,
      requestBytesMax,
      pendingBytesMax,
      appendTimeoutMs,
      acknowledgeTimeoutMs: Math.max(1000, requestTimeoutMs - 1000),
      codec: kafkaCodecs[compression],
      counts: this.counts,
    });
    this.#topics = new KafkaTopics({
      link: this.#link,
      ranges: this.#ranges,
      clock,
      logger,
      append: (topic, records) => this.#producer.append(topic, records),
      metaTopic: `${prefix}.meta`,
      replicationFactor,
      timeoutMs: appendTimeoutMs,
    });
  }

  async start(): Promise<void> {
    if (this.#state !== 'new') this.#assertOpen('start');
    const { startTimeoutMs } = this.#settings;
    const links = [this.#link, this.#producerLink, this.#backgroundLink];
    await Promise.all(links.map((link) => link.connect(startTimeoutMs)));
    this.#state = 'open';
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#state = 'closing';
    await Promise.all([...this.#subscriptions].map(({ member }) => member.stop()));
    await this.#producer.close();
    this.#state = 'closed';
    await Promise.all([this.#producerLink.close(), this.#link.close(), this.#backgroundLink.close()]);
  }

  async ensureTopic(spec: TopicSpec): Promise<TopicInfo> {
    this.#assertOpen('ensure a topic');
    return await this.#topics.ensure(spec);
  }

  async describeTopic(topic: string): Promise<TopicInfo> {
    this.#assertOpen('look up a topic');
    return await this.#topics.describe(topic);
  }

  append(topic: string, records: readonly NewRecord[]): Promise<readonly Position[]> {
    if (this.#state !== 'open') return Promise.reject(this.#notOpen(`append to topic ${shown(topic)}`));
    return this.#producer.append(topic, records);
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    this.#assertOpen('subscribe');
    assertName('group', options.group);
    assertName('member', options.member);
    const link = this.#createLink();
    try {
      const partitions = await partitionsOfAll(link, options.topics, this.#settings.startTimeoutMs);
      const subscription = new KafkaSubscription(link, partitions, options, {
        settings: this.#settings,
        counts: this.counts,
        createLink: () => this.#createLink(),
        onStopped: (stopped) => this.#subscriptions.delete(stopped),
      });
      await subscription.start();
      this.#subscriptions.add(subscription);
      if (this.#state !== 'open') await subscription.member.stop();
      this.#assertOpen('subscribe');
      return subscription.member;
    } catch (thrown) {
      void link.close();
      throw thrown;
    }
  }

  async *read(topic: string, partition: number, range: ReadRange): AsyncGenerator<readonly LogRecord[]> {
    this.#assertOpen('read');
    yield* (range.background ? this.#backgroundRanges : this.#ranges).read(topic, partition, range);
  }

  async bounds(topic: string, partitions?: readonly number[]): Promise<readonly PartitionBounds[]> {
    this.#assertOpen('look up bounds');
    const { startTimeoutMs } = this.#settings;
    const [firsts, nexts] = await Promise.all(
      [earliest, latest].map((timeMs) => this.#link.offsetsInReach(topic, timeMs, startTimeoutMs, partitions)),
    );
    const bounds: PartitionBounds[] = [];
    nexts!.forEach((next, partition) => {
      const first = firsts![partition];
      if (first !== undefined) bounds[partition] = { first, next };
    });
    return bounds;
  }

  async ends(topic: string, waitMs: number): Promise<readonly (number | undefined)[]> {
    this.#assertOpen('look up ends');
    return await this.#ends.ends(topic, waitMs);
  }

  async positionsAt(topic: string, timeMs: number, partitions?: readonly number[]): Promise<readonly number[]> {
    this.#assertOpen('look up positions');
    const found = await this.#offsets(topic, Math.max(0, Math.ceil(timeMs)), partitions);
    if (!found.includes(-1)) return found;
    const ends = await this.#offsets(topic, latest, partitions);
    return found.map((seq, partition) => (seq < 0 ? ends[partition]! : seq));
  }

  async lag(group: string, topic: string): Promise<readonly number[]> {
    this.#assertOpen('look up lag');
    const bounds = await this.bounds(topic);
    const partitions = bounds.map((_, partition) => partition);
    const committed = await this.#link.retry(`look up group ${shown(group)}`, this.#settings.startTimeoutMs, async () =>
      fetchCommitted(await this.#link.coordinator(group), group, [topic], partitions),
    );
    return bounds.map(({ first, next }, partition) => {
      const done = committed.get(topic)?.get(partition) ?? first;
      return Math.max(0, next - Math.max(first, done));
    });
  }

  /** For metrics. */
  stats(): KafkaEventLogStats {
    let queuedRecords = 0;
    let queuedRecordsMax = 0;
    for (const { member } of this.#subscriptions) {
      const { records, recordsMax } = member.queue();
      queuedRecords += records;
      queuedRecordsMax += recordsMax;
    }
    return { ...this.#producer.stats(), queuedRecords, queuedRecordsMax };
  }

  #createLink(): KafkaLink {
    const { brokers, clock } = this.#settings;
    return new KafkaLink({ createCluster: this.#createCluster, addresses: brokers, clock });
  }

  async #offsets(topic: string, timeMs: number, only?: readonly number[]): Promise<number[]> {
    return await this.#link.offsets(topic, timeMs, this.#settings.startTimeoutMs, only);
  }

  #assertOpen(doing: string): void {
    if (this.#state !== 'open') throw this.#notOpen(doing);
  }

  #notOpen(doing: string): TailraceError {
    const why = this.#state === 'new' ? 'not started: call start first' : 'closed';
    return new TailraceError('closed', `cannot ${doing}: the event log is ${why}`);
  }
}

async function partitionsOfAll(link: KafkaLink, names: readonly string[], timeoutMs: number): Promise<number> {
  const topics: { name: string; partitions: number }[] = [];
  for (const name of names) topics.push({ name, partitions: (await link.topic(name, timeoutMs)).leaders.length });
  assertSamePartitions(topics);
  return topics[0]!.partitions;
}

/** The types of kafkajs require a literal mechanism. */
function loginOf({ mechanism, username, password }: KafkaLogin): SASLOptions {
  return { mechanism, username, password } as SASLOptions;
}

/** Returns a function that creates a pool of connections. Nothing connects yet. */
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
    // `KafkaLink.retry` tries again, with a deadline.
    retry: { retries: 0 },
    ...(tls === undefined ? {} : { ssl: true, socketFactory: tlsSockets(tls) }),
    ...(sasl === undefined ? {} : { sasl: loginOf(sasl) }),
    // Each error is reported once, by the operation that failed. This is for debugging.
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ namespace, log: { message, timestamp: _, stack: __, ...facts } }) =>
        logger.debug({ kafkajs: namespace, ...facts }, message),
  });
  return () => {
    let cluster: Cluster | undefined;
    // The one way in which kafkajs hands out its connections: to assigners of a consumer, which is never connected
    // itself.
    kafka.consumer({
      groupId: 'never-joined',
      allowAutoTopicCreation: false,
      partitionAssigners: [
        (given) => {
          cluster = given.cluster;
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
