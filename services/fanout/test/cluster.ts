import type { Bus } from '@tailrace/bus/bus';
import { createMemoryNetwork, type MemoryFaults } from '@tailrace/bus/memory';
import type { EventLog } from '@tailrace/eventlog/eventlog';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { silentLog } from '@tailrace/platform/log';
import { noTracing } from '@tailrace/platform/tracing';
import { positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import { encodeReport } from '@tailrace/protocol/reportproto';
import { serverMessageFromJson } from '@tailrace/protocol/servermessage';
import { createFakeClock, type FakeClock } from '@tailrace/testkit/fakeclock';
import { Channels } from '../src/channels.ts';
import { Hub, type Subscriber, type Subscription, type SubscriptionStart } from '../src/hub.ts';
import { Ownership } from '../src/ownership.ts';
import { Resume } from '../src/resume.ts';
import { Views } from '../src/view.ts';

/** Whole fanout nodes in one process on the memory log and bus under a virtual clock: everything but the sockets. */
export interface Cluster {
  readonly clock: FakeClock;
  readonly partitions: number;
  readonly missing: string[];
  node(name: string): Promise<ClusterNode>;
  /** Appends one report; its number goes into the reading. Answers its position. */
  append(device: string, value: number, id?: string): Promise<{ partition: number; seq: number }>;
  setFaults(faults: MemoryFaults): void;
  cut(node: string): void;
  heal(node: string): void;
  close(): Promise<void>;
}

export interface ClusterNode {
  readonly name: string;
  readonly ownership: Ownership;
  readonly hub: Hub;
  readonly views: Views;
  readonly channels: Channels;
  client(channel: string, snapshot?: boolean, after?: string): ClusterClient;
  readonly past: Resume;
  stop(): Promise<void>;
}

export interface Seen {
  readonly device: string;
  readonly partition: number;
  readonly seq: number;
  readonly value: number;
}

/** What a client of one subscription was shown, in order. */
export class ClusterClient implements Subscriber {
  readonly encoding = 'json';
  readonly snapshot: Seen[] = [];
  readonly live: Seen[] = [];
  readonly errors: string[] = [];
  start: SubscriptionStart | undefined;
  subscription: Subscription | undefined;
  readonly #topics: Map<string, Set<ClusterClient>>;
  readonly #unsubscribe: (subscription: Subscription) => void;

  constructor(topics: Map<string, Set<ClusterClient>>, unsubscribe: (subscription: Subscription) => void) {
    this.#topics = topics;
    this.#unsubscribe = unsubscribe;
  }

  /** Goes away, as when its connection breaks. Answers what it knows of where it is, as a client builds it. */
  leave(): string {
    const { view } = this.subscription!;
    if (this.#topics.get(view.topic)?.delete(this)) view.sockets--;
    this.#unsubscribe(this.subscription!);
    if (this.start === undefined) return '';
    const positions = positionsFromToken(this.start.position);
    for (const { partition, seq } of this.live) positions.advance(partition, seq);
    return tokenFromPositions(positions);
  }

  begin(subscription: Subscription, start: SubscriptionStart): void {
    this.start = start;
    for (const frame of start.frames) this.receive(frame);
    subscription.view.sockets++;
    const topic = this.#topics.get(subscription.view.topic) ?? new Set();
    topic.add(this);
    this.#topics.set(subscription.view.topic, topic);
  }

  receive(frame: string | Uint8Array): void {
    const message = serverMessageFromJson(String(frame));
    if (message !== undefined && 'error' in message) this.errors.push(message.error.message);
    if (message === undefined || !('data' in message)) return;
    const { reports, snapshot } = message.data;
    for (const { device, partition, seq, readings } of reports) {
      (snapshot ? this.snapshot : this.live).push({ device, partition, seq, value: Number(readings[0]?.value) });
    }
  }
}

export const limits = {
  flushMs: 0,
  recoveryRecordsMax: 1_000,
  idsMax: 1_000,
  windowBytesMax: 1_048_576,
  windowMs: 60_000,
  resumeRecordsMax: 5_000,
  resumeBytesMax: 1_000_000,
  joinDeadlineMs: 60_000,
  nodeSilenceMs: 6_000,
  interestLeaseMs: 30_000,
  askDeadlineMs: 2_000,
  frameSilenceMs: 3_000,
  heldBytesMax: 1_048_576,
  // Few, so that a node that was away has to ask several times.
  backlogRecordsMax: 40,
};

export async function createCluster(options: { partitions?: number; seed?: number } = {}): Promise<Cluster> {
  const partitions = options.partitions ?? 4;
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const random = randomFrom(options.seed ?? 1);
  const memory = createMemoryLog({ clock, epoch: () => 'epoch-1' });
  const network = createMemoryNetwork({ clock, random });
  const writer = memory.connect();
  await writer.start();
  const topic = 'tailrace.telemetry';
  const retention = { retentionMs: 1e12, retentionBytes: 1e12 };
  await writer.ensureTopic({ name: topic, partitions, ...retention });
  const stateTopic = 'tailrace.state';
  await writer.ensureTopic({ name: stateTopic, partitions, ...retention, compacted: true });
  const missing: string[] = [];
  const closers: (() => Promise<void>)[] = [];

  async function node(name: string): Promise<ClusterNode> {
    const eventLog: EventLog = memory.connect();
    await eventLog.start();
    const bus: Bus = network.createBus({ node: name, log: silentLog });
    await bus.start();
    const topics = new Map<string, Set<ClusterClient>>();
    const views = new Views({
      publish: (viewTopic, frame) => {
        for (const client of topics.get(viewTopic) ?? []) client.receive(frame);
      },
    });
    const channels = new Channels(partitions);
    const ownership = new Ownership({
      eventLog,
      bus,
      clock,
      log: silentLog,
      tracing: noTracing,
      random,
      channels,
      views,
      node: name,
      url: () => `ws://${name}`,
      topic,
      stateTopic,
      group: 'fanout',
      epoch: 'epoch-1',
      partitions,
      connections: () => 0,
      onMissing: (channel, partition, from, until) => {
        missing.push(`${channel.pattern} ${partition} ${from} ${until}`);
        views.tellMissing(channel, partition, from, until);
      },
      limits,
    });
    const past = new Resume({ ownership, log: eventLog, topic, epoch: 'epoch-1', clock, limits });
    const hub = new Hub({
      past,
      channels,
      views,
      ownership,
      epoch: 'epoch-1',
      snapshotBytesMax: 1_000_000,
      clock,
      joinDeadlineMs: 60_000,
    });
    await ownership.start();
    let stopped = false;
    const stop = async () => {
      if (stopped) return;
      stopped = true;
      await ownership.stop();
      await bus.close();
      await eventLog.close();
    };
    closers.push(stop);
    const client = (channel: string, snapshot = true, after?: string) => {
      const made = new ClusterClient(topics, (subscription) => hub.unsubscribe(subscription));
      const wish = { id: 'a', channel, snapshot, ...(after === undefined ? {} : { after: positionsFromToken(after) }) };
      made.subscription = hub.subscribe(made, wish, (error) => made.errors.push(error.message));
      return made;
    };
    return { name, ownership, hub, views, channels, client, past, stop };
  }

  return {
    clock,
    partitions,
    missing,
    node,
    async append(device, value, id) {
      const report = {
        device,
        time: clock.now(),
        readings: [{ tag: 'n', value }],
        ...(id === undefined ? {} : { id }),
      };
      const [position] = await writer.append(topic, [{ key: device, value: encodeReport(report, clock.now()) }]);
      return position!;
    },
    setFaults: (faults) => network.setFaults(faults),
    cut: (name) => network.partition(name),
    heal: (name) => network.heal(name),
    async close() {
      // A stop may wait for what only happens by the clock.
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
