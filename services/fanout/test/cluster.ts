import type { Bus } from '@tailrace/bus/bus';
import { createMemoryNetwork, type MemoryFaults } from '@tailrace/bus/memory';
import type { EventLog, NewRecord } from '@tailrace/eventlog/event-log';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { silentLogger } from '@tailrace/platform/logger';
import { noTracing, type Tracing } from '@tailrace/platform/tracing';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { type ServerMessage, serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/server-message';
import type { Skipped } from '@tailrace/protocol/skipped';
import { createFakeClock, type FakeClock } from '@tailrace/testkit/fake-clock';
import { createFanout, type FanoutNode } from '../src/app.ts';
import type { WorkScheduler } from '../src/catch-up/work-scheduler.ts';
import type { Channel } from '../src/channels/channels.ts';
import type { Subscription } from '../src/channels/subscription.ts';
import type { FanoutSettings } from '../src/config.ts';
import { MemoryTransport } from '../src/memory-transport.ts';
import type { Transport } from '../src/transport.ts';
import type { View } from '../src/views/view.ts';
import type { Encoding, ViewOptions } from '../src/views/view-options.ts';
import { deviceLimits } from './device-limits.ts';
import { epoch, eventsTopic, fanoutOptions, retention, stateTopic, topic } from './fanout-options.ts';
import { freshnessLimits } from './freshness-limits.ts';
import { createStoppableClock } from './stoppable-clock.ts';
import { UnboundedSubscriber } from './unbounded-subscriber.ts';
import { spoil, unreadableHeaders } from './unreadable-records.ts';
import { workLimits } from './work-limits.ts';

/**
 * Whole fanout nodes in one process on the memory log, bus and transport under a virtual clock. Clients are at the hub.
 */
export interface Cluster {
  readonly clock: FakeClock;
  readonly partitions: number;
  readonly missing: string[];
  node(name: string): Promise<ClusterNode>;
  /** Appends a report with a reading of this value. Returns its position. */
  /** Appends an event of the sessions of a device. */
  appendEvent(device: string, event: tailrace.v1.Event.$Properties): Promise<void>;
  append(
    device: string,
    value: number,
    id?: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<{ partition: number; seq: number }>;
  /** Appends a record to a compacted topic, which is created. */
  appendTo(topic: string, record: NewRecord): Promise<void>;
  /** Appends an unreadable record under the key of a device. */
  appendUnreadable(device: string): Promise<{ partition: number; seq: number }>;
  /** Deletes the records of a partition before `first`, except for the last one, as retention does. */
  forget(partition: number, first: number): Promise<void>;
  setNetworkFaults(faults: MemoryFaults): void;
  /** Makes a partition of all topics unreadable, as when its broker is down, or readable again. */
  setAway(partition: number, isAway: boolean): void;
  /** The same for one topic alone. */
  setTopicAway(topic: string, partition: number, isAway: boolean): void;
  /** Delays the bounds of the log, without which no node takes over. */
  slowReads(delayMs: number): void;
  isolate(node: string): void;
  heal(node: string): void;
  close(): Promise<void>;
}

export interface ClusterNode extends FanoutNode {
  readonly name: string;
  readonly bus: Bus;
  readonly transport: Transport;
  client(
    channel: string,
    snapshot?: boolean,
    after?: string,
    options?: ViewOptions,
    encoding?: Encoding,
  ): ClusterClient;
  /** Receives what the node publishes to a topic, until `unwatchTopic`. */
  watchTopic(topic: string, client: TopicClient): void;
  unwatchTopic(topic: string, client: TopicClient): void;
  stop(): Promise<void>;
  /** As `kill -9`: it sends nothing any more, and the group notices after `sessionMs`. */
  crash(): void;
  /** As SIGSTOP: nothing runs there, and the group notices after `sessionMs`. */
  pause(): void;
  /** As SIGCONT. */
  resume(): void;
  /** Makes the log alone unreachable; the group notices after `sessionMs`. */
  disconnectLog(): void;
  reconnectLog(): void;
}

export interface Seen {
  readonly device: string;
  readonly partition: number;
  readonly seq: number;
  readonly value: number;
}

/** A client with one subscription, and what it received, in order. */
export class ClusterClient extends UnboundedSubscriber {
  readonly snapshot: Seen[] = [];
  readonly live: Seen[] = [];
  readonly errors: string[] = [];
  /** The ranges that were named as skipped. */
  readonly skipped: Skipped[] = [];
  /** Messages that are neither data nor errors, in order. */
  readonly notifications: ServerMessage[] = [];
  subscription: Subscription | undefined;
  readonly #topics: Map<string, Set<TopicClient>>;
  readonly #unsubscribe: (subscription: Subscription) => void;

  constructor(
    topics: Map<string, Set<TopicClient>>,
    work: WorkScheduler,
    encoding: Encoding,
    unsubscribe: (subscription: Subscription) => void,
  ) {
    super(encoding, work.queue('test'));
    this.#topics = topics;
    this.#unsubscribe = unsubscribe;
  }

  /** Disconnects, as when its connection breaks. Returns its position token, as a client computes it. */
  disconnect(): string {
    this.#unsubscribe(this.subscription!);
    if (this.start === undefined) return '';
    const positions = positionsFromToken(this.start.position);
    for (const { partition, seq } of this.live) positions.advance(partition, seq);
    for (const message of this.notifications) {
      if (!('progress' in message)) continue;
      for (const [partition, last] of positionsFromToken(message.progress.position).entries())
        positions.advance(partition, last);
    }
    return tokenFromPositions(positions);
  }

  onTopic(view: View): void {
    const topic = this.#topics.get(view.topic) ?? new Set();
    topic.add(this);
    this.#topics.set(view.topic, topic);
  }

  offTopic(view: View): void {
    this.#topics.get(view.topic)?.delete(this);
  }

  receive(frame: string | Uint8Array): void {
    const message = typeof frame === 'string' ? serverMessageFromJson(frame) : serverMessageFromBytes(frame);
    if (message !== undefined && 'error' in message) this.errors.push(message.error.message);
    if (message === undefined || 'error' in message) return;
    if (!('data' in message)) {
      this.notifications.push(message);
      return;
    }
    const { reports, snapshot, skipped = [] } = message.data;
    this.skipped.push(...skipped);
    for (const { device, partition, seq, readings } of reports) {
      (snapshot ? this.snapshot : this.live).push({ device, partition, seq, value: Number(readings[0]?.value) });
    }
  }
}

/** Receives what is published to the topics that it is on. */
export interface TopicClient {
  receive(frame: string | Uint8Array): void;
}

/** Delivers published frames to the clients on the topic. */
class TappedTransport extends MemoryTransport {
  readonly #clients: ReadonlyMap<string, ReadonlySet<TopicClient>>;

  constructor(clients: ReadonlyMap<string, ReadonlySet<TopicClient>>) {
    super({ socketBytesMax: Number.POSITIVE_INFINITY });
    this.#clients = clients;
  }

  override publish(topicName: string, frame: string | Uint8Array): void {
    for (const client of this.#clients.get(topicName) ?? []) client.receive(frame);
  }
}

/** The session timeout of group members. */
export const sessionMs = 6_000;

export const limits = {
  ...deviceLimits,
  flushMs: 0,
  recoveryRecordsMax: 1_000,
  idWindowMs: 120_000,
  idsMax: 100_000,
  windowBytesMax: 1_048_576,
  windowMs: 60_000,
  resumeRecordsMax: 5_000,
  resumeBytesMax: 1_000_000,
  replaysMax: 10,
  joinDeadlineMs: 60_000,
  suspectMs: 1_500,
  nodeTimeoutMs: 6_000,
  handoverMs: 8_000,
  interestLeaseMs: 30_000,
  ownerRequestTimeoutMs: 2_000,
  frameTimeoutMs: 3_000,
  heldBytesMax: 1_048_576,
  ...freshnessLimits,
  ...workLimits,
} satisfies Partial<FanoutSettings>;

export interface ClusterOptions {
  readonly partitions?: number;
  readonly seed?: number;
  /** As in `FanoutOptions`. */
  readonly workStepsMax?: number;
  /** The duration of a turn of the event loop, ms. Default: 0. */
  readonly turnMs?: () => number;
  /** Overrides `limits`. */
  readonly limits?: Partial<FanoutSettings>;
  /** The tracing of a node. Default: none. */
  readonly tracing?: (node: string) => Tracing;
}

export async function createCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const partitions = options.partitions ?? 4;
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const random = randomFrom(options.seed ?? 1);
  const memory = createMemoryLog({ clock, epoch: () => epoch });
  const network = createMemoryNetwork({ clock, random });
  const writer = memory.connect();
  await writer.start();
  await writer.ensureTopic({ name: topic, partitions, ...retention });
  await writer.ensureTopic({ name: stateTopic, partitions, ...retention, compacted: true });
  let readDelayMs = 0;
  const away = new Set<number>();
  const topicsAway = new Set<string>();
  const isAway = (name: string, partition: number) => away.has(partition) || topicsAway.has(`${name} ${partition}`);
  const missing: string[] = [];
  const closers: (() => Promise<void>)[] = [];

  async function node(name: string): Promise<ClusterNode> {
    const connection = memory.connect();
    await connection.start();
    const eventLog: EventLog = connection;
    const { bounds } = eventLog;
    eventLog.bounds = async (topicName, asked) => {
      if (readDelayMs > 0) await clock.sleep(readDelayMs);
      const found = [...(await bounds.call(eventLog, topicName, asked))];
      for (const partition of found.keys()) if (isAway(topicName, partition)) delete found[partition];
      if (Object.keys(found).length === 0) throw awayError();
      return found;
    };
    const { read } = eventLog;
    eventLog.read = async function* (topicName, partition, range) {
      if (isAway(topicName, partition)) throw awayError();
      yield* read.call(eventLog, topicName, partition, range);
    };
    spoil(eventLog);
    const own = createStoppableClock(clock);
    const bus: Bus = network.createBus({ node: name, logger: silentLogger });
    await bus.start();
    const topics = new Map<string, Set<TopicClient>>();
    const transport = new TappedTransport(topics);
    const fanout = createFanout(
      fanoutOptions({
        node: name,
        eventLog,
        bus,
        clock: own,
        transport,
        partitions,
        settings: { ...limits, ...options.limits },
        random,
        tracing: options.tracing?.(name) ?? noTracing,
        workStepsMax: options.workStepsMax,
        ...(options.turnMs && { turnMs: options.turnMs }),
      }),
    );
    await fanout.start();
    const inside = fanout.node!;
    const { hub, views } = inside;
    const publishMissing = views.publishMissing.bind(views);
    views.publishMissing = (channel, partition, from, until, reason) => {
      missing.push(`${(channel as Channel).pattern} ${partition} ${from} ${until}`);
      publishMissing(channel, partition, from, until, reason);
    };
    let stopped = false;
    const stop = async () => {
      if (stopped) return;
      stopped = true;
      await fanout.stop();
      await bus.close();
      await eventLog.close();
    };
    closers.push(stop);
    const client = (
      channel: string,
      snapshot = true,
      after?: string,
      options?: ViewOptions,
      encoding: Encoding = 'json',
    ) => {
      const made = new ClusterClient(topics, inside.work, encoding, (subscription) => hub.unsubscribe(subscription));
      const request = {
        ...{ id: 'a', channel, snapshot },
        ...(after === undefined ? {} : { after: positionsFromToken(after) }),
        ...(options === undefined ? {} : { options }),
      };
      made.subscription = hub.subscribe(made, request, (error) => made.errors.push(error.message));
      return made;
    };
    const crash = () => {
      stopped = true;
      own.pause();
      connection.crash(sessionMs);
      network.partition(name);
      void bus.close().then(() => network.heal(name));
    };
    const pause = () => {
      own.pause();
      connection.disconnect(sessionMs);
      network.partition(name);
    };
    const resume = () => {
      network.heal(name);
      connection.reconnect();
      own.resume();
    };
    const watchTopic = (name: string, watching: TopicClient) => {
      topics.set(name, (topics.get(name) ?? new Set()).add(watching));
    };
    const unwatchTopic = (name: string, watching: TopicClient) => void topics.get(name)?.delete(watching);
    const disconnectLog = () => connection.disconnect(sessionMs);
    const reconnectLog = () => connection.reconnect();
    return {
      ...inside,
      name,
      bus,
      transport,
      client,
      watchTopic,
      unwatchTopic,
      stop,
      crash,
      pause,
      resume,
      disconnectLog,
      reconnectLog,
    };
  }

  return {
    clock,
    partitions,
    missing,
    node,
    async appendEvent(device, event) {
      const value = tailrace.v1.Event.encode(event).finish();
      await writer.append(eventsTopic, [{ key: device, value }]);
    },
    async appendTo(name, record) {
      await writer.ensureTopic({ name, partitions, ...retention, compacted: true });
      await writer.append(name, [record]);
    },
    async append(device, value, id, headers) {
      const report = {
        device,
        time: clock.now(),
        readings: [{ tag: 'n', value }],
        ...(id === undefined ? {} : { id }),
      };
      const record = { key: device, value: encodeReport(report, clock.now()), ...(headers && { headers }) };
      const [position] = await writer.append(topic, [record]);
      return position!;
    },
    async appendUnreadable(device) {
      const [position] = await writer.append(topic, [
        { key: device, value: new Uint8Array(1), headers: unreadableHeaders },
      ]);
      return position!;
    },
    forget: (partition, first) => writer.forget(topic, partition, first),
    setNetworkFaults: (faults) => network.setFaults(faults),
    setAway(partition, isAway) {
      if (isAway) away.add(partition);
      else away.delete(partition);
    },
    setTopicAway(topicName, partition, isAway) {
      if (isAway) topicsAway.add(`${topicName} ${partition}`);
      else topicsAway.delete(`${topicName} ${partition}`);
    },
    slowReads(delayMs) {
      readDelayMs = delayMs;
    },
    isolate: (name) => network.partition(name),
    heal: (name) => network.heal(name),
    async close() {
      // A stop may wait for timers of the fake clock.
      let open = true;
      const closed = Promise.all(closers.map((stop) => stop())).then(() => {
        open = false;
      });
      while (open) await clock.advance(100);
      await closed;
      await writer.close();
    },
  };
}

function awayError(): TailraceError {
  return new TailraceError('unavailable', 'the partition has no leader at present');
}

/** mulberry32 (Tommy Ettinger, public domain): small, seeded, good enough to vary a test. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
