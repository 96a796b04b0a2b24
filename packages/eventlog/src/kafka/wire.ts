/**
 * The parts of kafkajs that the adapter uses: connections, authentication, the pool of brokers and the group protocol.
 * Produce, Fetch and Metadata are encoded here instead (docs/adr/0006-kafkajs-for-connections.md): those of kafkajs
 * reject a whole request if one partition has an error, need several times the CPU, and have no topic IDs.
 *
 * `kafka.ts` passes a real cluster, a unit test a literal.
 */

/** A request for the connection of kafkajs. `encode` returns the body without the header. */
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
  /** Timeout, if it is longer than that of the connection because the broker may wait. */
  readonly requestTimeout?: number;
}

export interface WireBody {
  readonly buf: Buffer;
  readonly buffer: Buffer;
}

/** Every response may throttle the client (KIP-219), which the connection of kafkajs does. */
export interface WireAnswer {
  readonly clientSideThrottleTime: number;
}

export interface KafkaConnection {
  connect(): Promise<unknown>;
  disconnect(): Promise<unknown>;
  isConnected(): boolean;
  socket?: unknown;
  readonly requestQueue: KafkaRequestQueue;
}

/** The requests in flight of kafkajs, and those that wait because the broker throttles the client. */
export interface KafkaRequestQueue {
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests(): void;
}

export interface KafkaConnectionPool {
  /** Connection 1 is for Fetch, which the broker may delay, connection 0 for all other requests. */
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

/** The parts of a Metadata response that kafkajs uses. */
export interface KafkaMetadata {
  readonly brokers: readonly { nodeId: number; host: string; port: number; rack: string | null }[];
  readonly controllerId: number;
  readonly topicMetadata: readonly never[];
}

/** The part of kafkajs's Cluster that is used. */
export interface KafkaCluster {
  /** Of the seed broker, once it is connected. */
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

export const produceApiKey = 0;
export const fetchApiKey = 1;
export const listOffsetsApiKey = 2;
export const metadataApiKey = 3;
