import type { Bus } from '@tailrace/bus/bus';
import type { EventLog, LogRecord } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { delayBoundsSeconds, Histogram } from '@tailrace/platform/measures';
import { noTracing, type Tracing } from '@tailrace/platform/tracing';
import { LogBlocks } from '../catch-up/log-blocks.ts';
import type { LogRangeContext } from '../catch-up/log-range.ts';
import type { WorkScheduler } from '../catch-up/work-scheduler.ts';
import type { OnMissing } from '../channels/channel.ts';
import type { Channels } from '../channels/channels.ts';
import { type KnownDeviceLimits, KnownDevices } from '../channels/known-devices.ts';
import { DeviceDirectory } from '../devices/device-directory.ts';
import { Pipeline } from '../pipeline.ts';
import { Freshness, type FreshnessLimits } from '../presence/freshness.ts';
import { PresenceMonitor } from '../presence/presence-monitor.ts';
import { Presences } from '../presence/presences.ts';
import { InterestServer } from '../relay/interest-server.ts';
import { Interests } from '../relay/interests.ts';
import { RelayFeed } from '../relay/relay-feed.ts';
import { RelaySubscriber } from '../relay/relay-subscriber.ts';
import { RepeatLookup } from '../relay/repeat-lookup.ts';
import { TracedPipeline } from '../spans.ts';
import type { Views } from '../views/view.ts';
import { Announcer } from './announcer.ts';
import { Assignments, Membership } from './assignments.ts';
import { Checkpoints } from './checkpoints.ts';
import { Failover } from './failover.ts';
import { IdLookBack } from './id-look-back.ts';
import { IdMemory, type IdLimits } from './recent-ids.ts';
import { SharedTurns } from './in-turns.ts';
import { RejectedRecords } from './intake-faults.ts';
import { Ownership, type OwnershipCounts } from './ownership.ts';
import { Partition } from './partition.ts';
import { PartitionTable } from './partition-table.ts';
import { ReadBack } from './read-back.ts';
import { type NodeState, Ring } from './ring.ts';
import { StalledPartitions } from './stalled-partitions.ts';
import { Tail } from './tail.ts';
import { TakeOver } from './take-over.ts';

export interface OwnershipLimits extends FreshnessLimits, Omit<KnownDeviceLimits, 'lastValuesBytesMax'>, IdLimits {
  /** See `Interruptions`. */
  readonly interruptedMs: number;
  /** See `Progress`. */
  readonly cutSlackMs: number;
  /** The log's batching window, ms: how long readings gather before they go out together. */
  readonly flushMs: number;
  /** Records of a partition read back by a new owner, to know the last values. */
  readonly recoveryRecordsMax: number;
  /** Of the newest reports kept for clients that come back, a partition. */
  readonly windowBytesMax: number;
  readonly windowMs: number;
  /**
   * A node silent for this long is suspect: another serves its partitions until it is heard again, or the group has
   * spoken.
   */
  readonly suspectMs: number;
  /** A node silent for this long is absent. */
  readonly nodeSilenceMs: number;
  /** How long a node that stops goes on serving its partitions until others do. */
  readonly handoverMs: number;
  readonly interestLeaseMs: number;
  /** For one answer of an owner. */
  readonly askDeadlineMs: number;
  readonly frameSilenceMs: number;
  readonly heldBytesMax: number;
}

export interface OwnershipOptions {
  readonly eventLog: EventLog;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracing: Tracing;
  readonly random: () => number;
  readonly channels: Channels;
  /** For what other nodes ask for. */
  readonly work: WorkScheduler;
  /** Calls once in a later turn of the event loop, after what is ready now. */
  readonly defer: (call: () => void) => void;
  readonly views: Views;
  readonly node: string;
  /** Where clients reach this node. */
  readonly url: () => string;
  readonly topic: string;
  readonly stateTopic: string;
  readonly group: string;
  readonly epoch: string;
  readonly partitions: number;
  readonly connections: () => number;
  /** Clients this node takes. */
  readonly connectionsMax: number;
  /** Clients of other nodes can be sent to `url`. */
  readonly reachable: boolean;
  readonly onMissing: OnMissing;
  /** Called at each fault of the subscription. */
  readonly onLogFault: () => void;
  readonly limits: OwnershipLimits;
  /** Memory for the last values of all devices. */
  readonly lastValuesBytesMax: number;
  /** See `InterestServer`. */
  readonly backlogRecordsMax: number | undefined;
}

/** Of the memory for catching up: for blocks of the log that several read. */
const blocksShare = 1 / 8;

/** What a node counts of its partitions, and of those it has by relay. */
/** Makes the parts of ownership, each from those before it. Nothing runs yet. */
export function createOwnership(options: OwnershipOptions): Ownership {
  const { eventLog, bus, clock, logger, random, channels, work, views, node, topic, epoch, limits } = options;
  const now = () => clock.monotonic();
  const warn = logger.warn.bind(logger);
  const counts: OwnershipCounts = {
    partition: { reports: 0, repeated: 0 },
    feed: { frames: 0, updates: 0 },
    relay: {
      ...{ frames: 0, foreign: 0, breaks: 0, asks: 0, askFailures: 0 },
      askSeconds: new Histogram(delayBoundsSeconds),
    },
    missing: { ranges: 0 },
  };

  // What is known of devices and partitions.
  const membership = new Membership();
  const known = new KnownDevices({
    devicesMax: limits.devicesMax,
    devicesPerTenantMax: limits.devicesPerTenantMax,
    tagsPerDeviceMax: limits.tagsPerDeviceMax,
    lastValuesBytesMax: options.lastValuesBytesMax,
  });
  const faults = new RejectedRecords(warn, now);
  const ids = new IdMemory(limits, () => clock.now());
  const presences = new Presences(channels, (view, message) => views.tell(view, message));
  const freshness = new Freshness(clock, presences, limits);
  const partitions = Array.from({ length: options.partitions }, (_, number) => {
    const interests = new Interests(limits.interestLeaseMs, Math.floor(random() * 2 ** 32));
    return new Partition(number, {
      channels,
      views,
      feed: new RelayFeed({ bus, interests, partition: number, node, epoch, now, counts: counts.feed }),
      counts: counts.partition,
      known,
      faults,
      idMemory: ids,
      window: { bytesMax: limits.windowBytesMax, ageMsMax: limits.windowMs },
      freshness,
      cutSlackMs: limits.cutSlackMs,
      onMissing: (...range) => {
        counts.missing.ranges++;
        options.onMissing(...range);
      },
    });
  });

  // Who owns what, and the way of what is read or received.
  const ring = new Ring(options.partitions, limits);
  const self = () => nodeStateOf(options, membership, partitions);
  const announcer = new Announcer({ bus, ring, epoch, now, self });
  const announce = () => announcer.announce();
  const pipeline = pipelineFrom(options, partitions, announce);
  const relays = partitions.map(
    (partition) =>
      new RelaySubscriber(partition, {
        bus,
        clock,
        logger: logger,
        random,
        node,
        epoch,
        channels,
        pipeline,
        work,
        counts: counts.relay,
        deadlineMs: limits.askDeadlineMs,
        silenceMs: limits.frameSilenceMs,
        heldBytesMax: limits.heldBytesMax,
      }),
  );
  const table = new PartitionTable(partitions, relays);
  const silences = new PresenceMonitor({
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

  // What is read back, for this node and for others.
  const owners = { bus, ownerOf: (number: number) => ring.owner(number)?.node, deadlineMs: limits.askDeadlineMs };
  const devices = new DeviceDirectory({ ...owners, node, partitions, now, counts: counts.relay });
  const lookup = new RepeatLookup(owners);
  const ranges: LogRangeContext & { readonly blocks: LogBlocks } = {
    blocks: new LogBlocks(eventLog, topic, work.limits.catchUpBytesMax * blocksShare),
    eventLog: eventLog,
    topic,
    ids,
    repeatsOf: (...range) => lookup.repeatsOf(...range),
    counts: { lookBacks: 0, shortLookBacks: 0 },
  };
  const interestServer = new InterestServer({
    partitions,
    ranges,
    work,
    now,
    backlogRecordsMax: options.backlogRecordsMax,
  });
  const checkpoints = new Checkpoints({
    eventLog: eventLog,
    topic: options.stateTopic,
    epoch,
    partitions: options.partitions,
    endOf: async (number) => (await eventLog.bounds(topic, [number]))[number]?.next ?? 0,
    warn,
    now,
  });

  // How partitions come and go.
  const turns = new SharedTurns(options.defer);
  const turn = () => turns.take();
  const onRecords = (partition: number, records: readonly LogRecord[]) =>
    pipeline.takeBatches([{ topic, partition, records }]);
  const idLookBack = new IdLookBack({ eventLog: eventLog, topic, partitions, memory: ids, turn });
  const takeOver = new TakeOver({
    eventLog: eventLog,
    topic,
    checkpoints,
    channels,
    known,
    ids: idLookBack,
    recoveryRecordsMax: limits.recoveryRecordsMax,
  });
  const tail = new Tail({
    eventLog: eventLog,
    topic,
    clock,
    flushMs: limits.flushMs,
    next: (number) => partitions[number]!.next,
    turn: () => new Promise((resolve) => options.defer(resolve)),
    onRecords,
    onFault: (partition, error) =>
      warn({ partition, error }, 'a partition without an owner could not be read; trying again'),
  });
  const acting = new Failover({
    ...{ node, ring, partitions, relays, takeOver, tail, logger: logger, now, announce },
    generation: () => membership.generation,
    deaf: () => announcer.deaf,
  });
  const readBack = new ReadBack({ eventLog, topic, logger: logger, turn, onRecords });
  const assignments = new Assignments({
    ...{ topic, partitions, relays, takeOver, readBack, acting, clock, logger: logger, announce, membership },
  });
  const stalled = new StalledPartitions(partitions, (number) => assignments.isPreparing(number));
  ring.onChange((number, owner) => {
    acting.settle(number);
    if (partitions[number]!.role === 'elsewhere') relays[number]!.follow(owner);
  });

  return new Ownership({
    ...{ eventLog, bus, clock, logger, node, topic, group: options.group, onLogFault: options.onLogFault },
    ...{ flushMs: limits.flushMs, handoverMs: limits.handoverMs },
    ...{
      membership,
      table,
      ring,
      announcer,
      pipeline,
      silences,
      interestServer,
      checkpoints,
      acting,
      assignments,
      stalled,
    },
    ...{ devices, ranges, known, faults, ids, idLookBack, counts },
  });
}

function pipelineFrom(options: OwnershipOptions, partitions: readonly Partition[], onServing: () => void): Pipeline {
  const { tracing, views, clock, eventLog, bus, topic, group } = options;
  return tracing === noTracing
    ? new Pipeline({ partitions, views, clock, onServing })
    : new TracedPipeline({ partitions, views, clock, onServing, tracing, eventLog, bus, topic, group });
}

/** What this node announces of itself. */
function nodeStateOf(options: OwnershipOptions, membership: Membership, partitions: readonly Partition[]): NodeState {
  const served = partitions.filter(({ role }) => role === 'owned');
  return {
    node: options.node,
    url: options.url(),
    generation: membership.generation,
    partitions: served.filter(({ isStandby }) => !isStandby).map(({ number }) => number),
    acting: served.filter(({ isStandby }) => isStandby).map(({ number }) => number),
    connections: options.connections(),
    connectionsMax: options.connectionsMax,
    reachable: options.reachable,
    draining: membership.isDraining,
  };
}
