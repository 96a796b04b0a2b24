import type { Clock } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import { retry } from '@tailrace/platform/retry';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { kafkaCode, kafkaErrorFrom, mayPass, refusedError } from './errors.ts';
import { listOffsetsRequest, metadataRequest, metadataVersion, type TopicMetadata } from './metadata.ts';
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

/** What a way to the brokers needs. */
export interface KafkaLinkOptions {
  /**
   * Creates connections of their own: what waits on one link (a held back fetch, a join) holds up nothing on another.
   */
  createCluster(): KafkaCluster;
  /** `host:port`, for messages. */
  readonly addresses: readonly string[];
  readonly clock: Clock;
}

const pauseFirstMs = 50;
const pauseMaxMs = 1000;
/** A leader that answers so much later than the first one is not waited for where the others count. */
const othersMs = 250;
/** So often it is tried whether a broker that refused leads the partition after all, where the others count. */
const refusedTriesMax = 4;

/**
 * A way to the brokers: a pool of connections, what is known of the topics, and the one place where requests are tried
 * again. All its errors are TailraceErrors. What a broker refused for a passing reason is asked again, with the leaders
 * looked up again, until the deadline given.
 */
export class KafkaLink {
  readonly #options: KafkaLinkOptions;
  readonly #cluster: KafkaCluster;
  readonly #topics = new Map<string, TopicMetadata>();
  /** Topics of which a broker has answered that it does not lead a partition that it was taken to lead. */
  readonly #outdated = new Set<string>();
  /** Topics that the last broker asked does not know. One that has just started may not know them yet. */
  readonly #missing = new Set<string>();
  #refreshing: Promise<void> | undefined;
  #closed = false;

  constructor(options: KafkaLinkOptions) {
    this.#options = options;
    this.#cluster = options.createCluster();
  }

  /**
   * `unavailable` when no broker of the list has answered until the deadline; `invalid_config` when they are too old.
   */
  async connect(deadlineMs: number): Promise<void> {
    await this.retry('connect', deadlineMs, async () => {
      await this.#openSeed();
      this.#assertNew(this.#cluster.brokerPool?.seedBroker);
      patchMetadata(this.#cluster, () => metadataRequest([]));
      await this.#cluster.refreshMetadata();
      await this.anyBroker();
    });
    this.#assertNew(await this.anyBroker());
  }

  /** A seed broker that was connected to, and has not answered, would count as connected at the next attempt. */
  async #openSeed(): Promise<void> {
    try {
      await this.#cluster.connect();
    } catch (thrown) {
      await this.#cluster.disconnect();
      throw thrown;
    }
  }

  #assertNew(broker: Pick<KafkaBroker, 'versions'> | undefined): void {
    const newest = broker?.versions?.[metadataApiKey]?.maxVersion ?? 0;
    if (broker === undefined || newest >= metadataVersion) return;
    const at = this.#options.addresses.join(', ');
    throw new TailraceError(
      'invalid_config',
      `Kafka at ${at} is older than 2.8 and has no topic IDs; use 3.0 or newer`,
    );
  }

  /** Waits for what is under way on the connections. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#cluster.disconnect().catch(() => {});
  }

  /** What was known last. */
  knownTopic(name: string): TopicMetadata | undefined {
    return this.#topics.get(name);
  }

  /** `not_found` where there is no such topic. */
  async topic(name: string, deadlineMs: number): Promise<TopicMetadata> {
    const known = this.#outdated.has(name) ? undefined : this.#topics.get(name);
    return known ?? (await this.lookUp(name, deadlineMs));
  }

  /** Asks the brokers, whatever is known. */
  async lookUp(name: string, deadlineMs: number): Promise<TopicMetadata> {
    let missing = 0;
    return await this.retry(`look up topic ${shown(name)}`, deadlineMs, async () => {
      const { topics } = await sendTo(await this.anyBroker(), metadataRequest([name]));
      const found = topics[0];
      if (found?.errorCode === 0) {
        this.#topics.set(name, found);
        this.#outdated.delete(name);
        this.#missing.delete(name);
        return found;
      }
      // A broker learns of a new topic a moment after the controller has created it: one more request.
      if (found?.errorCode === kafkaCode.unknownTopic && ++missing < 2)
        throw new TailraceError('unavailable', 'not yet');
      this.#topics.delete(name);
      throw refusedError(found?.errorCode ?? kafkaCode.unknownTopic, `find topic ${shown(name)}`);
    });
  }

  /**
   * Looks up again who leads what, for the brokers and all topics known. Calls at the same time share one request. A
   * topic is forgotten when two requests in a row do not find it.
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
        this.#topics.set(name, topic);
        this.#missing.delete(name);
      } else if (errorCode === kafkaCode.unknownTopic && this.#missing.has(name)) {
        this.#topics.delete(name);
        this.#missing.delete(name);
      } else if (errorCode === kafkaCode.unknownTopic) this.#missing.add(name);
    }
  }

  /**
   * By partition: the position that ListOffsets gives for the time. `only` of these partitions, the others are left
   * out.
   */
  async offsets(name: string, timeMs: number, deadlineMs: number, only?: readonly number[]): Promise<number[]> {
    return await this.retry(`look up positions of topic ${shown(name)}`, deadlineMs, async () => {
      const { leaders } = await this.topic(name, deadlineMs);
      const found: number[] = [];
      const asked = [...byLeader(leaders, only)];
      await Promise.all(asked.map(([leader, partitions]) => this.offsetsAt(leader, name, partitions, timeMs, found)));
      return found;
    });
  }

  /**
   * As `offsets`, of those partitions whose leaders answer, or do within a moment of the first one. Rejects where none
   * does.
   */
  async offsetsInReach(name: string, timeMs: number, deadlineMs: number, only?: readonly number[]): Promise<number[]> {
    let tries = 0;
    return await this.retry(`look up positions of topic ${shown(name)}`, deadlineMs, async () => {
      const { leaders } = await this.topic(name, deadlineMs);
      const found: number[] = [];
      let refused: TailraceError | undefined;
      const asked = [...byLeader(leaders, only)].map(([leader, partitions]) =>
        this.offsetsAt(leader, name, partitions, timeMs, found, (error) => {
          refused = error;
        }),
      );
      const answers = Promise.allSettled(asked);
      await Promise.any(asked).catch(() => undefined);
      await withinDeadline(this.#options.clock, othersMs, async () => void (await answers));
      // A broker that answers, and does not lead what it was taken for, or not yet: a moment later it is another, or
      // does.
      if (refused !== undefined && ++tries < refusedTriesMax) throw refused;
      if (found.length === 0) for (const answer of await answers) if (answer.status === 'rejected') throw answer.reason;
      return [...found];
    });
  }

  /**
   * Asks one broker, once, and notes what it answers by partition. Rejects where it does not lead one of the
   * partitions, or none leads them; the others are noted all the same.
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
      else error = mayPass(errorCode) ? passing(errorCode) : refusedError(errorCode, `read topic ${shown(name)}`);
    }
    if (error === undefined) return;
    // The next attempt looks the topic up: it may be gone. Others go by what is known meanwhile.
    this.#outdated.add(name);
    onRefused?.(error);
    throw error;
  }

  async broker(nodeId: number): Promise<KafkaBroker> {
    if (nodeId < 0) throw new TailraceError('unavailable', 'the partition has no leader at present');
    return patchBroker(await this.#cluster.findBroker({ nodeId }));
  }

  async anyBroker(): Promise<KafkaBroker> {
    const nodes = this.#cluster.getNodeIds();
    let last: unknown = new TailraceError('unavailable', 'no broker is known');
    const start = Math.floor(Math.random() * nodes.length);
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

  /** The broker that keeps the group. */
  async coordinator(groupId: string): Promise<KafkaBroker> {
    return patchBroker(await this.#cluster.findGroupCoordinator({ groupId }));
  }

  /**
   * Calls `attempt` until it resolves, at most until the deadline. Retries what may pass: lost connections, moving
   * leaders. From the second retry on the metadata are fetched again before. The last attempt may exceed the deadline by
   * the request timeout. Rejects with a TailraceError.
   */
  async retry<T>(doing: string, deadlineMs: number, attempt: () => Promise<T>): Promise<T> {
    let needsRefresh = false;
    const options = {
      clock: this.#options.clock,
      // No jitter: a process has few links, and each waits for its own brokers.
      random: () => 1,
      baseMs: pauseFirstMs,
      capMs: pauseMaxMs,
      deadlineMs,
      onRetry: (_: unknown, retries: number) => {
        needsRefresh = retries > 1;
      },
    };
    return await retry(options, async () => {
      if (needsRefresh) await this.refresh().catch(() => {});
      if (this.#closed) throw closedError(doing);
      try {
        return await attempt();
      } catch (thrown) {
        throw this.errorFrom(thrown, doing);
      }
    });
  }

  /** A thrown value as our error, with the addresses. */
  errorFrom(thrown: unknown, doing: string): TailraceError {
    return this.#closed ? closedError(doing) : kafkaErrorFrom(thrown, doing, this.#options.addresses);
  }
}

function closedError(doing: string): TailraceError {
  return new TailraceError('closed', `cannot ${doing}: the event log is closed`);
}

function passing(code: number): TailraceError {
  return new TailraceError('unavailable', refusedError(code, 'read').message);
}

/** Partitions by the broker that leads them; -1: none does. */
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
/** `patchMetadata` patches the same prototype. */
const patchedConnects = new WeakSet<object>();
const opening = new WeakMap<object, Promise<unknown>>();

/**
 * Works around four bugs of kafkajs 2.2.4 (`patchMetadata` a fifth), for all connections once one is seen:
 *
 * - After its first answer a connection checks its empty list of waiting requests every millisecond, for ever
 *   (tulios/kafkajs#1704): about 4 ms of CPU a second for each. It checks only while requests wait.
 * - Two requests that find a connection closed open two sockets, and the first is lost with what was written to it. Both
 *   wait for one socket.
 * - A closed socket is closed again each time the connection is, and collects listeners. It is dropped.
 * - A broker that accepts the connection, and does not answer ApiVersions in time, counts as connected from then on, and
 *   rejects each request that kafkajs encodes ("Broker not connected"), such as FindCoordinator. It counts as connected
 *   once it has answered, and a connection without an answer is closed.
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

/** What `patchConnect` uses of kafkajs's Broker. */
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
