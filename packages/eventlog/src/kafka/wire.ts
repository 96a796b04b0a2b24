/**
 * What the adapter asks of kafkajs: connections, authentication, the pool of brokers and the group protocol. Produce,
 * Fetch and Metadata are encoded here instead (see docs/adr): kafkajs's own versions answer a request in which one
 * partition failed with one error for all, cost several times the CPU, and know no topic IDs.
 *
 * `kafka.ts` hands over a real cluster; a unit test a literal.
 */

/** A request as the connection of kafkajs sends it. `encode` gives the body without header. */
export interface WireRequest<T> {
  readonly request: {
    readonly apiKey: number;
    readonly apiVersion: number;
    readonly apiName: string;
    encode(): Promise<WireBody>;
  };
  readonly response: {
    decode(body: Buffer): Promise<T>;
    parse(decoded: T): Promise<T>;
  };
  /** Longer than the connection's own limit, where the broker may hold the answer back. */
  readonly requestTimeout?: number;
}

export interface WireBody {
  readonly buf: Buffer;
  readonly buffer: Buffer;
}

/** Every answer may ask the client to slow down (KIP-219); kafkajs's connection sees to it. */
export interface WireAnswer {
  readonly clientSideThrottleTime: number;
}

interface KafkaConnection {
  connect(): Promise<unknown>;
  disconnect(): Promise<unknown>;
  isConnected(): boolean;
  socket?: unknown;
  readonly requestQueue: KafkaRequestQueue;
}

/** kafkajs's list of requests on their way, and of those that wait because the broker asked to slow down. */
interface KafkaRequestQueue {
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests(): void;
}

export interface KafkaConnectionPool {
  /** 0 is for everything but Fetch, 1 for Fetch, which may be held back by the broker. */
  readonly pool: readonly KafkaConnection[];
  send<T>(request: WireRequest<T>): Promise<T>;
}

export interface GroupMemberMetadata {
  readonly memberId: string;
  readonly memberMetadata: Buffer;
}

export interface TopicPartitions<P> {
  readonly topic: string;
  readonly partitions: readonly P[];
}

/** The part of kafkajs's Broker that is used. */
export interface KafkaBroker {
  readonly versions: Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>> | null;
  readonly connectionPool: KafkaConnectionPool;
  disconnect(): Promise<void>;
  initProducerId(request: { transactionTimeout: number }): Promise<{ producerId: string; producerEpoch: number }>;
  joinGroup(request: {
    groupId: string;
    sessionTimeout: number;
    rebalanceTimeout: number;
    memberId: string;
    groupProtocols: readonly { name: string; metadata: Buffer }[];
  }): Promise<{
    generationId: number;
    leaderId: string;
    memberId: string;
    members: readonly GroupMemberMetadata[];
  }>;
  syncGroup(request: {
    groupId: string;
    generationId: number;
    memberId: string;
    groupAssignment: readonly { memberId: string; memberAssignment: Buffer }[];
  }): Promise<{ memberAssignment: Buffer }>;
  heartbeat(request: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>;
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>;
  offsetCommit(request: {
    groupId: string;
    groupGenerationId: number;
    memberId: string;
    topics: readonly TopicPartitions<{ partition: number; offset: string }>[];
  }): Promise<unknown>;
  offsetFetch(request: {
    groupId: string;
    topics: readonly TopicPartitions<{ partition: number }>[];
  }): Promise<{ responses: readonly TopicPartitions<{ partition: number; offset: string }>[] }>;
  createTopics(request: {
    topics: readonly {
      topic: string;
      numPartitions: number;
      replicationFactor: number;
      configEntries: readonly { name: string; value: string }[];
    }[];
    timeout: number;
  }): Promise<unknown>;
}

/** What kafkajs keeps of an answer to Metadata. */
export interface KafkaMetadata {
  readonly brokers: readonly { nodeId: number; host: string; port: number; rack: string | null }[];
  readonly controllerId: number;
  readonly topicMetadata: readonly never[];
}

/** The part of kafkajs's Cluster that is used. */
export interface KafkaCluster {
  /** Where it asks first; once it is connected. */
  readonly brokerPool?: { readonly seedBroker?: KafkaBroker };
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  isConnected(): boolean;
  refreshMetadata(): Promise<void>;
  getNodeIds(): readonly (string | number)[];
  findBroker(node: { nodeId: string | number }): Promise<KafkaBroker>;
  findControllerBroker(): Promise<KafkaBroker>;
  findGroupCoordinator(group: { groupId: string }): Promise<KafkaBroker>;
}

/** Sends one request of ours. */
export async function sendTo<T>(broker: KafkaBroker, request: WireRequest<T>): Promise<T> {
  try {
    return await broker.connectionPool.send(request);
  } catch (thrown) {
    // As Broker does around its own requests: a closed connection is not used again.
    if ((thrown as Error).name === 'KafkaJSConnectionClosedError') await broker.disconnect();
    throw thrown;
  }
}

const patched = new WeakSet<object>();
/** `patchMetadata` patches the same prototype. */
const patchedConnects = new WeakSet<object>();
const opening = new WeakMap<object, Promise<unknown>>();

/**
 * Works around four bugs of kafkajs 2.2.4 (`patchMetadata` another), for all connections once one is seen.
 *
 * After its first answer a connection checks its empty list of waiting requests every millisecond for ever
 * (tulios/kafkajs#1704): about 4 ms of CPU a second for each. It is to check only where something waits.
 *
 * Two requests that find a connection closed open two sockets, and the first is forgotten with what was written to it.
 * They shall wait for one.
 *
 * A socket that is closed already is closed again each time the connection is, and collects listeners. It is to be
 * dropped.
 *
 * A broker that accepts the connection, and does not answer ApiVersions in time, counts as connected from then on, and
 * rejects each request that kafkajs encodes ("Broker not connected"), such as FindCoordinator. It shall count as
 * connected once it has answered, and a connection without an answer shall be closed.
 */
export function patchBroker<B extends Pick<KafkaBroker, 'connectionPool'>>(broker: B): B {
  mendConnect(broker);
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

/** What `mendConnect` uses of kafkajs's Broker. */
interface ConnectingBroker {
  connect?(): Promise<void>;
  disconnect(): Promise<void>;
  isConnected(): boolean;
}

function mendConnect(broker: Pick<KafkaBroker, 'connectionPool'>): void {
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
 * Works around a fifth one. To learn which brokers there are, kafkajs asks for all topics of the cluster, and takes it
 * for a failure if a single partition of any of them has no leader: while one broker is away, no client could connect.
 * It shall ask for the brokers.
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

export const produceApiKey = 0;
export const fetchApiKey = 1;
export const listOffsetsApiKey = 2;
export const metadataApiKey = 3;
