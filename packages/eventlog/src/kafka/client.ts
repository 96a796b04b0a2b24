import type { Clock } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import { retry } from '@tailrace/platform/retry';
import { noJitter } from '@tailrace/protocol/backoff';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { closedError } from '../log-state.ts';
import { errorFromCode, isRetriable, kafkaCode, kafkaErrorFrom } from './errors.ts';
import { listOffsetsRequest, mergeMetadata, metadataRequest, metadataVersion, type TopicMetadata } from './metadata.ts';
import {
  type KafkaBroker,
  type KafkaCluster,
  type KafkaConnection,
  type KafkaMetadata,
  type KafkaRequestQueue,
  metadataApiKey,
  type WireAnswer,
  type WireRequest,
} from './wire.ts';

export interface KafkaClientOptions {
  /**
   * Creates the connections of this client: requests that wait (a fetch, a join) do not delay those of another client.
   */
  createCluster(): KafkaCluster;
  /** `host:port`, for messages. */
  readonly addresses: readonly string[];
  readonly clock: Clock;
  /** In [0, 1). Selects one of several brokers. */
  readonly random: () => number;
}

/** The waits between attempts of all calls but those of the group. */
export const retryBackoff = { baseMs: 50, capMs: 1000 };
/** `offsetsInReach` waits this long for further leaders after the first answer. */
const othersMs = 250;
/**
 * Consecutive metadata with an older leader that are ignored. Then it counts: a cluster that was restored from a backup
 * restarts its epochs.
 */
const outdatedMax = 5;
/** Attempts of `offsetsInReach` while a broker does not lead its partition yet. */
const refusedTriesMax = 4;

/**
 * A client of the brokers: a pool of connections, the metadata of topics, and the retry of requests. All its errors are
 * TailraceErrors. A request that a broker has refused with a retriable error is sent again, with refreshed metadata,
 * until the deadline.
 */
export class KafkaClient {
  readonly #options: KafkaClientOptions;
  readonly #cluster: KafkaCluster;
  readonly #topics = new Map<string, TopicMetadata>();
  /** Topics with outdated metadata: a broker has answered that it does not lead one of its partitions. */
  readonly #outdated = new Set<string>();
  /** Topics that were missing in the last metadata. A broker that has just started may not know them yet. */
  readonly #missing = new Set<string>();
  /** By topic: consecutive metadata with an older leader. */
  readonly #outdatedCounts = new Map<string, number>();
  #refreshing: Promise<void> | undefined;
  #closed = false;

  constructor(options: KafkaClientOptions) {
    this.#options = options;
    this.#cluster = options.createCluster();
  }

  /**
   * Connects. Rejects with `unavailable` if no broker answers until the deadline, `invalid_config` if they are too old.
   */
  async connect(deadlineMs: number): Promise<void> {
    try {
      await this.retry('connect', deadlineMs, async () => {
        await this.#openSeed();
        this.#assertVersion(this.#cluster.brokerPool?.seedBroker);
        patchMetadata(this.#cluster, () => metadataRequest([]));
        await this.#cluster.refreshMetadata();
        await this.anyBroker();
      });
      this.#assertVersion(await this.anyBroker());
    } finally {
      // It was closed in the meantime, before these connections were open.
      if (this.#closed) await this.#cluster.disconnect().catch(() => {});
    }
  }

  /** Disconnects after an error: a seed broker that has not answered would count as connected at the next attempt. */
  async #openSeed(): Promise<void> {
    try {
      await this.#cluster.connect();
    } catch (thrown) {
      await this.#cluster.disconnect();
      throw thrown;
    }
  }

  #assertVersion(broker: Pick<KafkaBroker, 'versions'> | undefined): void {
    const newest = broker?.versions?.[metadataApiKey]?.maxVersion ?? 0;
    if (broker === undefined || newest >= metadataVersion) return;
    const at = this.#options.addresses.join(', ');
    throw new TailraceError(
      'invalid_config',
      `Kafka at ${at}: expected 3.0 or newer, got one before 2.8, without topic IDs`,
    );
  }

  /** Closes the connections after their requests in progress. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#cluster.disconnect().catch(() => {});
  }

  /** Returns the last metadata of a topic; undefined if it is not known. */
  knownTopic(name: string): TopicMetadata | undefined {
    return this.#topics.get(name);
  }

  /** Resolves with the metadata of a topic, cached or requested. Rejects with `not_found` if it does not exist. */
  async topic(name: string, deadlineMs: number): Promise<TopicMetadata> {
    const known = this.#outdated.has(name) ? undefined : this.#topics.get(name);
    return known ?? (await this.lookUp(name, deadlineMs));
  }

  /** Requests the metadata of a topic. Rejects with `not_found` if it does not exist. */
  async lookUp(name: string, deadlineMs: number): Promise<TopicMetadata> {
    let missing = 0;
    return await this.retry(`look up topic ${shown(name)}`, deadlineMs, async () => {
      const { topics } = await sendTo(await this.anyBroker(), metadataRequest([name]));
      const found = topics[0];
      if (found?.errorCode === 0) {
        this.#outdated.delete(name);
        this.#missing.delete(name);
        return this.#learn(found);
      }
      // A broker may not know a new topic yet: one more request.
      if (found?.errorCode === kafkaCode.unknownTopic && ++missing < 2)
        throw new TailraceError('unavailable', 'not yet');
      this.#topics.delete(name);
      throw errorFromCode(found?.errorCode ?? kafkaCode.unknownTopic, `find topic ${shown(name)}`);
    });
  }

  /**
   * Refreshes the metadata of the brokers and all known topics. Concurrent calls share one request. A topic is removed
   * when two consecutive requests do not find it.
   */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    await this.#cluster.refreshMetadata();
    const names = [...this.#topics.keys()];
    if (names.length === 0) return;
    const { topics } = await sendTo(await this.anyBroker(), metadataRequest(names));
    for (const topic of topics) {
      const { name, errorCode } = topic;
      if (errorCode === 0) {
        this.#learn(topic);
        this.#missing.delete(name);
      } else if (errorCode === kafkaCode.unknownTopic && this.#missing.has(name)) {
        this.#topics.delete(name);
        this.#missing.delete(name);
      } else if (errorCode === kafkaCode.unknownTopic) this.#missing.add(name);
    }
  }

  /** Stores the metadata of a topic. Leaders that are older than the known ones are ignored at first. */
  #learn(found: TopicMetadata): TopicMetadata {
    const { name } = found;
    const known = this.#topics.get(name) ?? found;
    const count = this.#outdatedCounts.get(name) ?? 0;
    const acceptsOlder = count === outdatedMax;
    const { topic, isOutdated } = mergeMetadata(found, known, acceptsOlder);
    this.#outdatedCounts.set(name, isOutdated && !acceptsOlder ? count + 1 : 0);
    this.#topics.set(name, topic);
    return topic;
  }

  /** Resolves with the position that ListOffsets returns for the time, by partition. `only`: of these partitions. */
  async offsets(name: string, timeMs: number, deadlineMs: number, only?: readonly number[]): Promise<number[]> {
    return await this.retry(`look up positions of topic ${shown(name)}`, deadlineMs, async () => {
      const { leaders } = await this.topic(name, deadlineMs);
      const found: number[] = [];
      const requests = [...byLeader(leaders, only)];
      await Promise.all(
        requests.map(([leader, partitions]) => this.offsetsAt(leader, name, partitions, timeMs, found)),
      );
      return found;
    });
  }

  /** As `offsets`, for the partitions whose leaders answer within `othersMs` of the first one. Rejects if none does. */
  async offsetsInReach(name: string, timeMs: number, deadlineMs: number, only?: readonly number[]): Promise<number[]> {
    let tries = 0;
    return await this.retry(`look up positions of topic ${shown(name)}`, deadlineMs, async () => {
      const { leaders } = await this.topic(name, deadlineMs);
      const found: number[] = [];
      let refused: TailraceError | undefined;
      const requests = [...byLeader(leaders, only)].map(([leader, partitions]) =>
        this.offsetsAt(leader, name, partitions, timeMs, found, (error) => {
          refused = error;
        }),
      );
      const answers = Promise.allSettled(requests);
      await Promise.any(requests).catch(() => undefined);
      await withinDeadline(this.#options.clock, othersMs, async () => void (await answers));
      // A broker does not lead its partition, or not yet: the next attempt may find its leader.
      if (refused !== undefined && ++tries < refusedTriesMax) throw refused;
      if (found.length === 0) for (const answer of await answers) if (answer.status === 'rejected') throw answer.reason;
      return [...found];
    });
  }

  /**
   * Sends one ListOffsets to one broker, and adds the positions to `found`, by partition. Rejects if the broker does
   * not lead one of the partitions, or they have no leader; the positions of the others are added.
   */
  async offsetsAt(
    leader: number,
    name: string,
    partitions: readonly number[],
    timeMs: number,
    found: (number | undefined)[],
    onRefused?: (error: TailraceError) => void,
  ): Promise<void> {
    const answer = await sendTo(await this.broker(leader), listOffsetsRequest(name, partitions, timeMs));
    let error: TailraceError | undefined;
    for (const { partition, errorCode, seq } of answer.partitions) {
      if (errorCode === 0) found[partition] = seq;
      else
        error = isRetriable(errorCode)
          ? retriableError(errorCode)
          : errorFromCode(errorCode, `read topic ${shown(name)}`);
    }
    if (error === undefined) return;
    // The next attempt requests the metadata: the topic may have been deleted.
    this.#outdated.add(name);
    onRefused?.(error);
    throw error;
  }

  async broker(nodeId: number): Promise<KafkaBroker> {
    if (nodeId < 0) throw new TailraceError('unavailable', 'the partition has no leader');
    return patchBroker(await this.#cluster.findBroker({ nodeId }));
  }

  async anyBroker(): Promise<KafkaBroker> {
    const nodes = this.#cluster.getNodeIds();
    let last: unknown = new TailraceError('unavailable', 'no broker is known');
    const start = Math.floor(this.#options.random() * nodes.length);
    for (let n = 0; n < nodes.length; n++) {
      try {
        return patchBroker(await this.#cluster.findBroker({ nodeId: nodes[(start + n) % nodes.length]! }));
      } catch (thrown) {
        last = thrown;
      }
    }
    throw last;
  }

  async controller(): Promise<KafkaBroker> {
    return patchBroker(await this.#cluster.findControllerBroker());
  }

  /** Resolves with the coordinator of the group. */
  async coordinator(groupId: string): Promise<KafkaBroker> {
    return patchBroker(await this.#cluster.findGroupCoordinator({ groupId }));
  }

  /**
   * Calls `attempt` until it resolves, at most until the deadline. Retries retriable errors, such as lost connections
   * and moved leaders. From the second retry on the metadata are refreshed before. The last attempt may exceed the
   * deadline by the request timeout. Rejects with a TailraceError.
   */
  async retry<T>(operation: string, deadlineMs: number, attempt: () => Promise<T>): Promise<T> {
    let needsRefresh = false;
    const options = {
      clock: this.#options.clock,
      random: noJitter,
      ...retryBackoff,
      deadlineMs,
      onRetry: (_: unknown, retries: number) => {
        needsRefresh = retries > 1;
      },
    };
    return await retry(options, async () => {
      if (needsRefresh) await this.refresh().catch(() => {});
      if (this.#closed) throw closedError(operation);
      try {
        return await attempt();
      } catch (thrown) {
        throw this.errorFrom(thrown, operation);
      }
    });
  }

  /** Returns a thrown value as a TailraceError, with the addresses of the brokers. */
  errorFrom(thrown: unknown, operation: string): TailraceError {
    return this.#closed ? closedError(operation) : kafkaErrorFrom(thrown, operation, this.#options.addresses);
  }
}

function retriableError(code: number): TailraceError {
  return new TailraceError('unavailable', errorFromCode(code, 'read').message);
}

/** Returns the partitions by their leader; -1: no leader. */
export function byLeader(leaders: readonly number[], only?: readonly number[]): Map<number, number[]> {
  const grouped = new Map<number, number[]>();
  leaders.forEach((leader, partition) => {
    if (only !== undefined && !only.includes(partition)) return;
    const own = grouped.get(leader);
    if (own === undefined) grouped.set(leader, [partition]);
    else own.push(partition);
  });
  return grouped;
}

/** Sends a request that is encoded here. */
export async function sendTo<T>(broker: KafkaBroker, request: WireRequest<T>): Promise<T> {
  try {
    return await broker.connectionPool.send(request);
  } catch (thrown) {
    // As the broker of kafkajs does for its own requests: a closed connection is not used again.
    if ((thrown as Error).name === 'KafkaJSConnectionClosedError') await broker.disconnect();
    throw thrown;
  }
}

const patched = new WeakSet<object>();
/** Separate, since `patchMetadata` patches the same prototype. */
const patchedConnects = new WeakSet<object>();
const opening = new WeakMap<object, Promise<unknown>>();

/**
 * Works around four bugs of kafkajs 2.2.4 (`patchMetadata` a fifth), for all connections once one is seen:
 *
 * - After its first answer a connection checks its empty list of waiting requests every millisecond, for ever
 *   (tulios/kafkajs#1704): about 4 ms of CPU a second for each. It checks only while requests wait.
 * - Two requests that find a connection closed open two sockets, and the first is lost with what was written to it.
 *   Both wait for one socket.
 * - A closed socket is closed again each time the connection is, and collects listeners. It is dropped.
 * - A broker that accepts the connection, and does not answer ApiVersions in time, counts as connected from then on,
 *   and rejects each request that kafkajs encodes ("Broker not connected"), such as FindCoordinator. It counts as
 *   connected once it has answered, and a connection without an answer is closed.
 */
export function patchBroker<B extends Pick<KafkaBroker, 'connectionPool'>>(broker: B): B {
  patchConnect(broker);
  const connection = broker.connectionPool.pool[0];
  if (connection === undefined) return broker;
  const shared = Object.getPrototypeOf(connection) as KafkaConnection;
  if (patched.has(shared)) return broker;
  patched.add(shared);
  const { connect, disconnect } = shared;
  shared.disconnect = async function (this: KafkaConnection) {
    const { socket } = this;
    await disconnect.call(this);
    if (this.socket === socket && !this.isConnected()) delete this.socket;
    return true;
  };
  shared.connect = function (this: KafkaConnection) {
    let opened = opening.get(this);
    if (opened === undefined) {
      opened = connect.call(this).finally(() => opening.delete(this));
      opening.set(this, opened);
    }
    return opened;
  };
  const queue = Object.getPrototypeOf(connection.requestQueue) as KafkaRequestQueue;
  const { scheduleCheckPendingRequests: check } = queue;
  queue.scheduleCheckPendingRequests = function (this: KafkaRequestQueue) {
    if (this.pending.length > 0) check.call(this);
  };
  return broker;
}

/** The part of kafkajs's Broker that `patchConnect` uses. */
interface ConnectingBroker {
  connect?(): Promise<void>;
  disconnect(): Promise<void>;
  isConnected(): boolean;
}

function patchConnect(broker: Pick<KafkaBroker, 'connectionPool'>): void {
  const shared = Object.getPrototypeOf(broker) as ConnectingBroker;
  const { connect, isConnected } = shared;
  if (connect === undefined || patchedConnects.has(shared)) return;
  patchedConnects.add(shared);
  const negotiated = new WeakSet<object>();
  shared.isConnected = function (this: ConnectingBroker) {
    return negotiated.has(this) && isConnected.call(this);
  };
  shared.connect = async function (this: ConnectingBroker) {
    try {
      await connect.call(this);
      negotiated.add(this);
    } catch (thrown) {
      await this.disconnect();
      throw thrown;
    }
  };
}

/**
 * Works around a fifth bug of kafkajs 2.2.4. To list the brokers, it requests the metadata of all topics, and fails if
 * one partition of any topic has no leader: while one broker is unreachable, no client can connect. It requests the
 * brokers alone.
 */
export function patchMetadata(
  { brokerPool }: KafkaCluster,
  request: () => WireRequest<WireAnswer & Pick<KafkaMetadata, 'brokers' | 'controllerId'>>,
): void {
  const seed = brokerPool?.seedBroker;
  if (seed === undefined) return;
  const shared = Object.getPrototypeOf(seed) as {
    metadata(this: KafkaBroker, topics?: readonly string[]): Promise<KafkaMetadata>;
  };
  if (patched.has(shared)) return;
  patched.add(shared);
  const { metadata } = shared;
  shared.metadata = async function (this: KafkaBroker, topics = []) {
    if (topics.length > 0) return await metadata.call(this, topics);
    const { brokers, controllerId } = await sendTo(this, request());
    return { brokers, controllerId, topicMetadata: [] };
  };
}
