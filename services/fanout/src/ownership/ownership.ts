import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import type { EventLog, Subscription } from '@tailrace/eventlog/event-log';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import type { Logger } from '@tailrace/platform/logger';
import type { LogBlocks } from '../catch-up/log-blocks.ts';
import type { LogRangeContext } from '../catch-up/log-range.ts';
import type { KnownDevices } from '../channels/device.ts';
import type { DeviceDirectory } from '../devices/device-directory.ts';
import type { Events } from '../events/events.ts';
import type { Pipeline } from '../pipeline.ts';
import type { Freshness } from '../presence/freshness.ts';
import type { PresenceMonitor } from '../presence/presence-monitor.ts';
import type { Presences } from '../presence/presences.ts';
import type { InterestServer } from '../relay/interest-server.ts';
import type { RelayCounts } from '../relay/relay-subscriber.ts';
import { ownerSubject } from '../subjects.ts';
import { type Announcer, checkMs, type LocalNode } from './announcer.ts';
import type { Assignments } from './assignments.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { Failover } from './failover.ts';
import type { IdLookback } from './id-lookback.ts';
import type { Partition, PartitionCounts } from './partition.ts';
import type { PartitionTable } from './partition-table.ts';
import type { IdMemory } from './recent-ids.ts';
import type { RejectedRecords } from './rejected-records.ts';
import type { Ring } from './ring.ts';
import { type StalledPartitions, stalledMs } from './stalled-partitions.ts';

const announceMs = 500;
const renewMs = 10_000;
const checkpointMs = 5_000;
/** Maximum of the groups in which partitions are checkpointed, spread over `checkpointMs`. */
const checkpointGroupsMax = 100;
const lastCheckpointMs = 2_000;
const handoverPollMs = 20;

export interface OwnershipCounts {
  readonly partition: PartitionCounts;
  readonly feed: { frames: number; updates: number };
  readonly relay: RelayCounts;
  /** Ranges that channels of this node were notified of as missing. */
  readonly missing: { ranges: number };
}

/** The partitions of this node, and what they share. */
export interface LocalPartitions {
  readonly partitions: readonly Partition[];
  readonly known: KnownDevices;
  readonly rejected: RejectedRecords;
  readonly ids: IdMemory;
  readonly presences: Presences;
  readonly freshness: Freshness;
}

/** This node among the others. */
export interface RingMembership {
  readonly localNode: LocalNode;
  readonly ring: Ring;
  readonly announcer: Announcer;
}

/** The path of reports to the channels, from the log or from the owners of their partitions. */
export interface ReportPath {
  readonly pipeline: Pipeline;
  readonly table: PartitionTable;
  readonly presence: PresenceMonitor;
}

/** Reads history and lists devices, for this node and for others. */
export interface HistoryAccess {
  /** The devices of all partitions, of this node and of others. */
  readonly devices: DeviceDirectory;
  /** The context of reads of the log. */
  readonly ranges: LogRangeContext & { readonly blocks: LogBlocks };
  readonly interestServer: InterestServer;
}

/** Gains and loses partitions, with their state. */
export interface Transfers {
  readonly checkpoints: Checkpoints;
  readonly idLookback: IdLookback;
  readonly failover: Failover;
  readonly assignments: Assignments;
  readonly stalled: StalledPartitions;
}

/** The objects that `createOwnership` composes. */
export interface OwnershipComponents {
  readonly eventLog: EventLog;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly node: string;
  readonly topic: string;
  readonly group: string;
  /** Called at each error of the subscription. */
  readonly onLogError: () => void;
  readonly flushMs: number;
  /** How long a node that stops continues to serve its partitions until others do, ms. */
  readonly handoverMs: number;
  readonly counts: OwnershipCounts;
  readonly local: LocalPartitions;
  readonly membership: RingMembership;
  readonly reportPath: ReportPath;
  readonly history: HistoryAccess;
  readonly transfers: Transfers;
  /** Alarms, commands and leases. */
  readonly events: Events;
}

/** The life of this node in the ring and in the consumer group: see docs/ARCHITECTURE.md, "Ownership". */
export class Ownership {
  readonly partitions: readonly Partition[];
  readonly table: PartitionTable;
  readonly ring: Ring;
  readonly pipeline: Pipeline;
  readonly presence: PresenceMonitor;
  readonly checkpoints: Checkpoints;
  readonly failover: Failover;
  readonly stalled: StalledPartitions;
  readonly devices: DeviceDirectory;
  readonly ranges: HistoryAccess['ranges'];
  readonly known: KnownDevices;
  readonly rejected: RejectedRecords;
  readonly ids: IdMemory;
  readonly idLookback: IdLookback;
  readonly counts: OwnershipCounts;
  readonly events: Events;
  readonly #components: OwnershipComponents;
  #checkpointGroup = 0;
  /** End of the handover, monotonic ms; undefined before its start. */
  #handoverEndMs: number | undefined;
  #isStopped = false;
  #couldServe = false;
  #serving: BusSubscription | undefined;
  #subscription: Subscription | undefined;
  #timers: Timer[] = [];

  constructor(components: OwnershipComponents) {
    this.#components = components;
    const { local, membership, reportPath, history, transfers, counts } = components;
    this.partitions = local.partitions;
    this.known = local.known;
    this.rejected = local.rejected;
    this.ids = local.ids;
    this.ring = membership.ring;
    this.table = reportPath.table;
    this.pipeline = reportPath.pipeline;
    this.presence = reportPath.presence;
    this.devices = history.devices;
    this.ranges = history.ranges;
    this.checkpoints = transfers.checkpoints;
    this.idLookback = transfers.idLookback;
    this.failover = transfers.failover;
    this.stalled = transfers.stalled;
    this.counts = counts;
    this.events = components.events;
  }

  /**
   * Joins the ring and the group. `url`: where clients reach this node. After a rejection, and after a `stop`
   * meanwhile, nothing is left open.
   */
  async start(url: string): Promise<void> {
    this.#components.membership.localNode.url = url;
    try {
      await this.#join();
    } catch (thrown) {
      await this.stop().catch((error: unknown) =>
        this.#components.logger.warn({ error }, 'the resources of a failed start could not all be released'),
      );
      throw thrown;
    }
    if (this.#isStopped) await this.stop();
  }

  async #join(): Promise<void> {
    const { bus, clock, node, eventLog, topic, group, flushMs, logger, onLogError } = this.#components;
    const { history, transfers, membership } = this.#components;
    const { interestServer } = history;
    const { assignments } = transfers;
    this.#serving = await bus.serve(ownerSubject(node), (request) => interestServer.reply(request));
    await membership.announcer.start();
    this.events.start();
    this.#timers = [
      clock.every(announceMs, () => this.#tick()),
      clock.every(checkMs, () => this.#check()),
      clock.every(renewMs, () => this.#renew()),
      clock.every(checkpointMs / this.#checkpointGroups, () => this.#checkpointNext()),
    ];
    this.#subscription = await eventLog.subscribe({
      topics: [topic],
      group,
      member: node,
      flushMs,
      onAssigned: (assignment) => assignments.take(assignment),
      onBatches: this.pipeline.takeBatches.bind(this.pipeline),
      onError: (error) => {
        logger.warn({ error }, 'the subscription to the log has an error; it retries');
        onLogError();
      },
    });
  }

  /**
   * Leaves the group, and continues to serve its partitions until others do, at most `handoverMs`, so that clients have
   * no pause. If no other node is left, it serves them until `stop`. Idempotent.
   */
  async handOver(): Promise<void> {
    const { clock, handoverMs, membership, transfers } = this.#components;
    const { localNode, announcer } = membership;
    this.#handoverEndMs ??= clock.monotonic() + handoverMs;
    localNode.isDraining = true;
    if (this.#subscription === undefined) return;
    announcer.announce();
    // So that the next owner has little to read. If the log is unavailable, it reads more.
    await withinDeadline(clock, lastCheckpointMs, () => this.#checkpointAll());
    transfers.assignments.leave();
    announcer.announce();
    await withinDeadline(clock, handoverMs, async () => this.#subscription?.stop());
    while (this.failover.size > 0 && this.ring.eligibleNodes().length > 0 && clock.monotonic() < this.#handoverEndMs) {
      await clock.sleep(handoverPollMs);
    }
  }

  /** Hands over, and leaves the ring. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.handOver();
    this.failover.stop();
    for (const partition of this.partitions) if (partition.role !== 'elsewhere') partition.lose();
    await this.#components.membership.announcer.stop();
    for (const timer of this.#timers) timer.cancel();
    for (const relay of this.table.relays) relay.stop();
    this.events.stop();
    await this.#serving?.stop();
  }

  /**
   * Returns why this node cannot serve; undefined if it can.
   *
   * At first it waits until its partitions are read back, and every partition has an owner. It does not wait for
   * stalled partitions: while a broker is unavailable, the other partitions are served. After that it stays ready,
   * because every node serves every channel, unless it reads none of its partitions although the log has records for
   * all of them.
   */
  notReady(): string | undefined {
    const { sinceMs } = this.#components.membership.localNode;
    if (sinceMs === undefined) return 'the consumer group has not assigned partitions yet';
    const nowMs = this.#components.clock.monotonic();
    if (this.stalled.isStalled(nowMs)) return `reading of all ${this.#owned()} partitions of this node stands still`;
    if (this.#couldServe) return undefined;
    const stalled = new Set(this.stalled.at(nowMs));
    const waiting = this.partitions.filter((partition) => this.#isAwaited(partition) && !stalled.has(partition)).length;
    if (waiting > 0) return `reading back ${waiting} partitions`;
    const orphans = this.partitions.length - this.ring.owned;
    const isLate = nowMs - sinceMs >= stalledMs && this.ring.owned > 0;
    this.#couldServe = orphans === 0 || isLate;
    return this.#couldServe ? undefined : `${orphans} partitions have no owner yet`;
  }

  /** Returns whether partitions of this node are read back and not served yet. */
  isReadingBack(): boolean {
    return this.partitions.some((partition) => this.#isAwaited(partition));
  }

  /** Returns whether the partition is assigned to this node and not served yet. */
  #isAwaited({ number, role, isStandby }: Partition): boolean {
    return this.#components.transfers.assignments.isPreparing(number) || (role === 'recovering' && !isStandby);
  }

  #owned(): number {
    return this.partitions.filter(({ role }) => role === 'owned').length;
  }

  queue(): { readonly records: number; readonly recordsMax: number } {
    return this.#subscription?.queue() ?? { records: 0, recordsMax: 0 };
  }

  #check(): void {
    this.#components.membership.announcer.check();
    this.failover.check();
  }

  #tick(): void {
    const nowMs = this.#components.clock.monotonic();
    this.#components.membership.announcer.announce();
    const polled = this.presence.poll();
    this.stalled.check(nowMs);
    for (const { role, number, feed } of this.partitions) {
      if (role === 'owned') feed.interests.expire(nowMs);
      else if (role === 'elsewhere') this.table.relays[number]!.watch(nowMs);
    }
    void polled.then(() => this.#sendHeartbeats());
  }

  /** Called when the end offsets are known, so that the frames have the present lag; or when they could not be read. */
  #sendHeartbeats(): void {
    for (const { role, feed, next } of this.partitions) if (role === 'owned') feed.heartbeat(next);
  }

  get #checkpointGroups(): number {
    return Math.min(this.partitions.length, checkpointGroupsMax);
  }

  /**
   * Writes the changed devices of the next group of partitions to the state topic. All partitions at once would take
   * one turn of the event loop, and every report would wait for their records.
   */
  #checkpointNext(): void {
    const group = this.#checkpointGroup++ % this.#checkpointGroups;
    for (let number = group; number < this.partitions.length; number += this.#checkpointGroups) {
      void this.#checkpoint(this.partitions[number]!);
    }
  }

  async #checkpointAll(): Promise<void> {
    await Promise.all(this.partitions.map((partition) => this.#checkpoint(partition, true)));
  }

  async #checkpoint(partition: Partition, all = false): Promise<void> {
    if (partition.role === 'owned' && !partition.isStandby) await this.checkpoints.write(partition, all);
  }

  #renew(): void {
    for (const relay of this.table.relays) relay.renew();
  }
}
