import type { Bus } from '@tailrace/bus/bus';
import type { EventLog, LogRecord } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { delayBoundsSeconds, Histogram } from '@tailrace/platform/measures';
import { noTracing, type Tracing } from '@tailrace/platform/tracing';
import { LogBlocks } from '../catch-up/log-blocks.ts';
import type { WorkScheduler } from '../catch-up/work-scheduler.ts';
import type { Channels, OnMissing } from '../channels/channels.ts';
import { type KnownDeviceLimits, KnownDevices } from '../channels/device.ts';
import { DeviceDirectory } from '../devices/device-directory.ts';
import { Events, type EventsLimits } from '../events/events.ts';
import { Pipeline } from '../pipeline.ts';
import { DeviceSessions } from '../presence/device-sessions.ts';
import { Freshness, type FreshnessLimits } from '../presence/freshness.ts';
import { PresenceMonitor } from '../presence/presence-monitor.ts';
import { Presences } from '../presence/presences.ts';
import { Progress } from '../presence/progress.ts';
import { InterestServer } from '../relay/interest-server.ts';
import { Interests, RelayFeed } from '../relay/relay-feed.ts';
import { RelaySubscriber } from '../relay/relay-subscriber.ts';
import { RepeatLookup } from '../relay/repeat-lookup.ts';
import { TracedPipeline } from '../spans.ts';
import type { Views } from '../views/view.ts';
import { Announcer, LocalNode } from './announcer.ts';
import { Assignments } from './assignments.ts';
import { Checkpoints } from './checkpoints.ts';
import { Failover } from './failover.ts';
import { IdLookback } from './id-lookback.ts';
import {
  type HistoryAccess,
  type LocalPartitions,
  Ownership,
  type OwnershipCounts,
  type ReportPath,
  type RingMembership,
  type Transfers,
} from './ownership.ts';
import { Partition } from './partition.ts';
import { PartitionReader } from './partition-reader.ts';
import { PartitionTable } from './partition-table.ts';
import { type IdLimits, IdMemory } from './recent-ids.ts';
import { RejectedRecords } from './rejected-records.ts';
import { type NodeState, Ring } from './ring.ts';
import { StalledPartitions } from './stalled-partitions.ts';
import { TakeOver } from './take-over.ts';

export interface OwnershipLimits
  extends FreshnessLimits,
    Omit<KnownDeviceLimits, 'lastValuesBytesMax'>,
    IdLimits,
    EventsLimits {
  /** See `Interruptions`. */
  readonly interruptedMs: number;
  /** See `Progress`. */
  readonly cutSlackMs: number;
  /** The batching window of the log, ms: how long reports are collected before they are delivered together. */
  readonly flushMs: number;
  /** Records of a partition that a new owner reads back, for the last values. */
  readonly recoveryRecordsMax: number;
  /** Memory for the newest reports of a partition, for clients that reconnect. */
  readonly windowBytesMax: number;
  readonly windowMs: number;
  /**
   * A node that announces nothing for this long is suspect: another one serves its partitions until it announces again,
   * or the group has assigned them.
   */
  readonly suspectMs: number;
  /** A node that announces nothing for this long is absent. */
  readonly nodeTimeoutMs: number;
  /** How long a node that stops continues to serve its partitions until others do. */
  readonly handoverMs: number;
  readonly interestLeaseMs: number;
  /** Deadline of one reply of an owner, ms. */
  readonly ownerRequestTimeoutMs: number;
  readonly frameTimeoutMs: number;
  readonly heldBytesMax: number;
}

export interface OwnershipOptions {
  readonly eventLog: EventLog;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracing: Tracing;
  /** In [0, 1). */
  readonly random: () => number;
  readonly channels: Channels;
  /** Schedules the work for requests of other nodes. */
  readonly work: WorkScheduler;
  /** Calls once in a later turn of the event loop, after everything that is ready now. */
  readonly defer: (call: () => void) => void;
  readonly views: Views;
  readonly node: string;
  readonly topic: string;
  readonly stateTopic: string;
  readonly eventsTopic: string;
  /** Epoch of the topic of events. */
  readonly eventsEpoch: string;
  readonly alarmsTopic: string;
  readonly group: string;
  readonly epoch: string;
  readonly partitions: number;
  readonly connections: () => number;
  /** Maximum of the clients of this node. */
  readonly connectionsMax: number;
  /** Whether clients of other nodes can be sent to this one. */
  readonly reachable: boolean;
  readonly onMissing: OnMissing;
  /** Called at each error of the subscription. */
  readonly onLogError: () => void;
  readonly limits: OwnershipLimits;
  /** Memory for the last values of all devices. */
  readonly lastValuesBytesMax: number;
}

/** Share of `catchUpBytesMax` for blocks of the log that several clients read. */
const blocksShare = 1 / 8;

/** Composes ownership in five groups: each gets those created before it. Nothing runs yet. */
export function createOwnership(options: OwnershipOptions): Ownership {
  const { eventLog, bus, clock, logger, node, topic, group, onLogError, limits } = options;
  const counts = newCounts();
  const local = createLocalPartitions(options, counts);
  const membership = createMembership(options, local);
  const reportPath = createReportPath(options, counts, local, membership);
  const events = createEvents(options, local, membership);
  const history = createHistoryAccess(options, counts, local, membership, events);
  const transfers = createTransfers(options, local, membership, reportPath);
  const { partitions } = local;
  const { relays } = reportPath.table;
  membership.ring.onChange((number, owner) => {
    transfers.failover.releaseIfServed(number);
    if (partitions[number]!.role === 'elsewhere') relays[number]!.follow(owner);
  });
  return new Ownership({
    eventLog,
    bus,
    clock,
    logger,
    node,
    topic,
    group,
    onLogError,
    flushMs: limits.flushMs,
    handoverMs: limits.handoverMs,
    counts,
    local,
    membership,
    reportPath,
    history,
    transfers,
    events,
  });
}

function newCounts(): OwnershipCounts {
  return {
    partition: { reports: 0, duplicates: 0 },
    feed: { frames: 0, updates: 0 },
    relay: {
      frames: 0,
      rejected: 0,
      gaps: 0,
      requests: 0,
      requestFailures: 0,
      replySeconds: new Histogram(delayBoundsSeconds),
    },
    missing: { ranges: 0 },
  };
}

function createLocalPartitions(options: OwnershipOptions, counts: OwnershipCounts): LocalPartitions {
  const { bus, clock, logger, random, channels, views, node, epoch, limits } = options;
  const known = new KnownDevices({
    devicesMax: limits.devicesMax,
    devicesPerTenantMax: limits.devicesPerTenantMax,
    tagsPerDeviceMax: limits.tagsPerDeviceMax,
    lastValuesBytesMax: options.lastValuesBytesMax,
  });
  const rejected = new RejectedRecords(logger.warn.bind(logger), () => clock.monotonic());
  const ids = new IdMemory(limits, () => clock.now());
  const presences = new Presences(channels, (view, message) => views.publishMessage(view, message));
  const freshness = new Freshness(clock, presences, limits);
  const onMissing: OnMissing = (...range) => {
    counts.missing.ranges++;
    options.onMissing(...range);
  };
  const window = { bytesMax: limits.windowBytesMax, ageMsMax: limits.windowMs };
  const partitions = Array.from({ length: options.partitions }, (_, number) => {
    const interests = new Interests(limits.interestLeaseMs, Math.floor(random() * 2 ** 32));
    const progress = new Progress(limits.cutSlackMs);
    return new Partition(number, {
      channels,
      views,
      feed: new RelayFeed({ bus, interests, partition: number, node, epoch, clock, progress, counts: counts.feed }),
      counts: counts.partition,
      known,
      rejected,
      idMemory: ids,
      window,
      clock,
      freshness,
      progress,
      onMissing,
    });
  });
  return { partitions, known, rejected, ids, presences, freshness };
}

function createMembership(options: OwnershipOptions, { partitions }: LocalPartitions): RingMembership {
  const { bus, clock, epoch, limits } = options;
  const localNode = new LocalNode();
  const ring = new Ring(options.partitions, limits);
  const self = () => nodeStateOf(options, localNode, partitions);
  return { localNode, ring, announcer: new Announcer({ bus, ring, epoch, clock, self }) };
}

function createReportPath(
  options: OwnershipOptions,
  counts: OwnershipCounts,
  { partitions, presences, freshness }: LocalPartitions,
  { announcer }: RingMembership,
): ReportPath {
  const { eventLog, bus, clock, logger, random, channels, work, views, node, topic, epoch, limits } = options;
  const pipeline = pipelineFrom(options, partitions, () => announcer.announce());
  const relays = partitions.map(
    (partition) =>
      new RelaySubscriber(partition, {
        bus,
        clock,
        logger,
        random,
        node,
        epoch,
        channels,
        pipeline,
        work,
        counts: counts.relay,
        deadlineMs: limits.ownerRequestTimeoutMs,
        frameTimeoutMs: limits.frameTimeoutMs,
        heldBytesMax: limits.heldBytesMax,
      }),
  );
  const sessions = createDeviceSessions(options, partitions);
  freshness.sessionOf = (device) => sessions.openOf(device);
  const presence = new PresenceMonitor({
    sessions,
    clock,
    channels,
    views,
    eventLog,
    topic,
    presences,
    freshness,
    partitions,
    isSettled: (number) => relays[number]!.isSettled,
    interruptedMs: limits.interruptedMs,
  });
  return { pipeline, table: new PartitionTable(partitions, relays), presence };
}

/** Reads the topic of events with a reader of its own: what is read back of it does not wait for reports. */
function createDeviceSessions(options: OwnershipOptions, partitions: readonly Partition[]): DeviceSessions {
  const { eventLog, clock, logger, defer, epoch, eventsTopic: topic, limits } = options;
  const { flushMs } = limits;
  const reader = new PartitionReader({ eventLog, topic, partitions, clock, logger, defer, flushMs, onRecords() {} });
  const range: PartitionReader['range'] = (...of) => reader.range(...of);
  return new DeviceSessions({ eventLog, topic, epoch, partitions, range, clock, sessionsMax: limits.devicesMax });
}

/** Reads the topic of events with a reader of its own, like `createDeviceSessions`. */
function createEvents(options: OwnershipOptions, { partitions }: LocalPartitions, { ring }: RingMembership): Events {
  const { eventLog, bus, clock, logger, random, defer, node, eventsTopic, eventsEpoch, alarmsTopic, limits } = options;
  const readers = new Map(
    [eventsTopic, alarmsTopic].map((topic) => [
      topic,
      new PartitionReader({ eventLog, topic, partitions, clock, logger, defer, flushMs: 0, onRecords() {} }),
    ]),
  );
  return new Events({
    eventLog,
    topic: eventsTopic,
    alarmsTopic,
    epoch: eventsEpoch,
    range: (topic, partition, range) => readers.get(topic)!.range(partition, range),
    bus,
    clock,
    logger,
    random,
    node,
    partitions,
    ring,
    limits,
  });
}

function createHistoryAccess(
  options: OwnershipOptions,
  counts: OwnershipCounts,
  { partitions, ids }: LocalPartitions,
  { ring }: RingMembership,
  events: Events,
): HistoryAccess {
  const { eventLog, bus, clock, work, node, topic, limits } = options;
  const now = () => clock.monotonic();
  const ownerOf = (number: number) => ring.owner(number)?.node;
  const deadlineMs = limits.ownerRequestTimeoutMs;
  const devices = new DeviceDirectory({ bus, ownerOf, deadlineMs, node, partitions, now, counts: counts.relay });
  const lookup = new RepeatLookup({ bus, ownerOf, deadlineMs });
  const ranges: HistoryAccess['ranges'] = {
    blocks: new LogBlocks(eventLog, topic, work.limits.catchUpBytesMax * blocksShare),
    eventLog,
    topic,
    ids,
    repeatsOf: (...range) => lookup.repeatsOf(...range),
    counts: { lookbacks: 0, shortLookbacks: 0 },
  };
  return { devices, ranges, interestServer: new InterestServer({ partitions, ranges, work, events, now }) };
}

function createTransfers(
  options: OwnershipOptions,
  { partitions, known, ids }: LocalPartitions,
  { ring, announcer, localNode }: RingMembership,
  { pipeline, table }: ReportPath,
): Transfers {
  const { eventLog, clock, logger, random, channels, defer, node, topic, epoch, limits } = options;
  const { relays } = table;
  const checkpoints = new Checkpoints({
    eventLog,
    topic: options.stateTopic,
    epoch,
    partitions: options.partitions,
    endOf: async (number) => (await eventLog.bounds(topic, [number]))[number]?.next ?? 0,
    warn: logger.warn.bind(logger),
    now: () => clock.monotonic(),
  });
  const { flushMs, recoveryRecordsMax } = limits;
  const onRecords = (partition: number, records: readonly LogRecord[]) =>
    pipeline.takeBatches([{ topic, partition, records }]);
  const reader = new PartitionReader({ eventLog, topic, partitions, clock, logger, defer, flushMs, onRecords });
  const idLookback = new IdLookback({ eventLog, topic, reader, partitions, memory: ids });
  const takeOver = new TakeOver({
    eventLog,
    clock,
    topic,
    checkpoints,
    channels,
    known,
    ids: idLookback,
    recoveryRecordsMax,
  });
  const failover = new Failover({
    node,
    ring,
    partitions,
    relays,
    takeOver,
    reader,
    announcer,
    localNode,
    clock,
    logger,
  });
  const assignments = new Assignments({
    topic,
    partitions,
    relays,
    takeOver,
    reader,
    failover,
    announcer,
    localNode,
    clock,
    logger,
    random,
  });
  const stalled = new StalledPartitions(partitions, (number) => assignments.isPreparing(number));
  return { checkpoints, idLookback, failover, assignments, stalled };
}

function pipelineFrom(options: OwnershipOptions, partitions: readonly Partition[], onServing: () => void): Pipeline {
  const { tracing, views, clock, eventLog, bus, topic, group } = options;
  return tracing === noTracing
    ? new Pipeline({ partitions, views, clock, onServing })
    : new TracedPipeline({ partitions, views, clock, onServing, tracing, eventLog, bus, topic, group });
}

/** Returns the state that this node announces. */
function nodeStateOf(
  { node, connections, connectionsMax, reachable }: OwnershipOptions,
  { url, generation, isDraining }: LocalNode,
  partitions: readonly Partition[],
): NodeState {
  const served = partitions.filter(({ role }) => role === 'owned');
  return {
    node,
    url,
    generation,
    partitions: served.filter(({ isStandby }) => !isStandby).map(({ number }) => number),
    standby: served.filter(({ isStandby }) => isStandby).map(({ number }) => number),
    connections: connections(),
    connectionsMax,
    reachable,
    draining: isDraining,
  };
}
