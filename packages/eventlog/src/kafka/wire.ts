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

export interface KafkaConnection {
  connect(): Promise<unknown>;
  disconnect(): Promise<unknown>;
  isConnected(): boolean;
  socket?: unknown;
  readonly requestQueue: KafkaRequestQueue;
}

/** kafkajs's list of requests on their way, and of those that wait because the broker asked to slow down. */
export interface KafkaRequestQueue {
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

export const produceApiKey = 0;
export const fetchApiKey = 1;
export const listOffsetsApiKey = 2;
export const metadataApiKey = 3;
