import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import type { EventLog, Subscription } from '@tailrace/eventlog/event-log';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import type { Logger } from '@tailrace/platform/logger';
import type { LogBlocks } from '../catch-up/log-blocks.ts';
import type { LogRangeContext } from '../catch-up/log-range.ts';
import type { KnownDevices } from '../channels/known-devices.ts';
import type { DeviceDirectory } from '../devices/device-directory.ts';
import type { Pipeline } from '../pipeline.ts';
import type { PresenceMonitor } from '../presence/presence-monitor.ts';
import type { InterestServer } from '../relay/interest-server.ts';
import type { RelayCounts } from '../relay/relay-subscriber.ts';
import { ownerSubject } from '../subjects.ts';
import { type Announcer, lookMs } from './announcer.ts';
import type { Assignments, Membership } from './assignments.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { Failover } from './failover.ts';
import type { IdLookBack } from './id-look-back.ts';
import type { IdMemory } from './recent-ids.ts';
import type { RejectedRecords } from './intake-faults.ts';
import type { Partition } from './partition.ts';
import type { PartitionTable } from './partition-table.ts';
import type { Ring } from './ring.ts';
import { type StalledPartitions, stalledMs } from './stalled-partitions.ts';

const announceMs = 500;
const renewMs = 10_000;
const checkpointMs = 5_000;
/** In so many parts at most, spread over that time. */
const checkpointSlotsMax = 100;
const lastCheckpointMs = 2_000;
const handoverLookMs = 20;

export interface OwnershipCounts {
  readonly partition: { reports: number; repeated: number };
  readonly feed: { frames: number; updates: number };
  readonly relay: RelayCounts;
  /** Times that channels of this node were notified that something is no longer in the log. */
  readonly missing: { ranges: number };
}

/** What ownership is made of: see `createOwnership`. */
interface OwnershipParts {
  readonly eventLog: EventLog;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly node: string;
  readonly topic: string;
  readonly group: string;
  readonly onLogFault: () => void;
  readonly flushMs: number;
  /** How long a node that stops serves its partitions until others do. */
  readonly handoverMs: number;
  readonly membership: Membership;
  readonly table: PartitionTable;
  readonly ring: Ring;
  readonly announcer: Announcer;
  readonly pipeline: Pipeline;
  readonly silences: PresenceMonitor;
  readonly interestServer: InterestServer;
  readonly checkpoints: Checkpoints;
  readonly acting: Failover;
  readonly assignments: Assignments;
  readonly stalled: StalledPartitions;
  /** The devices of all partitions, here and elsewhere. */
  readonly devices: DeviceDirectory;
  /** How ranges of the log are read back. */
  readonly ranges: LogRangeContext & { readonly blocks: LogBlocks };
  readonly known: KnownDevices;
  readonly faults: RejectedRecords;
  readonly ids: IdMemory;
  readonly idLookBack: IdLookBack;
  readonly counts: OwnershipCounts;
}

/**
 * Which partitions this node owns, by the log's consumer group, and where it gets the others from: see
 * docs/ARCHITECTURE.md, "Ownership".
 */
export class Ownership {
  readonly partitions: readonly Partition[];
  readonly table: PartitionTable;
  readonly ring: Ring;
  readonly pipeline: Pipeline;
  readonly silences: PresenceMonitor;
  readonly checkpoints: Checkpoints;
  readonly acting: Failover;
  readonly stalled: StalledPartitions;
  readonly devices: DeviceDirectory;
  readonly ranges: OwnershipParts['ranges'];
  readonly known: KnownDevices;
  readonly faults: RejectedRecords;
  readonly ids: IdMemory;
  readonly idLookBack: IdLookBack;
  readonly counts: OwnershipCounts;
  readonly #parts: OwnershipParts;
  #checkpointSlot = 0;
  /** Monotonic ms; once it has begun. */
  #handoverEndMs: number | undefined;
  #stopped = false;
  #couldServe = false;
  #serving: BusSubscription | undefined;
  #subscription: Subscription | undefined;
  #timers: Timer[] = [];

  constructor(parts: OwnershipParts) {
    this.#parts = parts;
    this.table = parts.table;
    this.partitions = parts.table.partitions;
    this.ring = parts.ring;
    this.pipeline = parts.pipeline;
    this.silences = parts.silences;
    this.checkpoints = parts.checkpoints;
    this.acting = parts.acting;
    this.stalled = parts.stalled;
    this.devices = parts.devices;
    this.ranges = parts.ranges;
    this.known = parts.known;
    this.faults = parts.faults;
    this.ids = parts.ids;
    this.idLookBack = parts.idLookBack;
    this.counts = parts.counts;
  }

  /** A rejection leaves nothing behind, and neither does a `stop` meanwhile. */
  async start(): Promise<void> {
    try {
      await this.#join();
    } catch (thrown) {
      await this.stop().catch((error: unknown) =>
        this.#parts.logger.warn({ error }, 'a failed start left something behind'),
      );
      throw thrown;
    }
    if (this.#stopped) await this.stop();
  }

  async #join(): Promise<void> {
    const { bus, clock, node, eventLog, topic, group, flushMs, logger, pipeline, onLogFault } = this.#parts;
    this.#serving = await bus.serve(ownerSubject(node), (request) => this.#parts.interestServer.answer(request));
    await this.#parts.announcer.start();
    this.#timers = [
      clock.every(announceMs, () => this.#tick()),
      clock.every(lookMs, () => this.#look()),
      clock.every(renewMs, () => this.#renew()),
      clock.every(checkpointMs / this.#checkpointSlots, () => this.#checkpointNext()),
    ];
    this.#subscription = await eventLog.subscribe({
      topics: [topic],
      group,
      member: node,
      flushMs,
      onAssigned: (assignment) => this.#parts.assignments.take(assignment),
      onBatches: pipeline.takeBatches.bind(pipeline),
      onError: (error) => {
        logger.warn({ error }, 'the log had a fault; it is being worked on');
        onLogFault();
      },
    });
  }

  /**
   * Leaves the group, and goes on serving its partitions until others do, at most `handoverMs`: for clients there is no
   * pause. Where nobody is left to take them, it serves them until `stop`. Idempotent.
   */
  async handOver(): Promise<void> {
    const { clock, handoverMs, membership } = this.#parts;
    this.#handoverEndMs ??= clock.monotonic() + handoverMs;
    membership.isDraining = true;
    if (this.#subscription === undefined) return;
    this.#parts.announcer.announce();
    // So that the next owner has little to read. Where the log does not take it, it reads more.
    await withinDeadline(clock, lastCheckpointMs, () => this.#checkpointAll());
    this.#parts.assignments.leave();
    this.#parts.announcer.announce();
    await withinDeadline(clock, handoverMs, async () => this.#subscription?.stop());
    while (this.acting.size > 0 && this.ring.willing().length > 0 && clock.monotonic() < this.#handoverEndMs) {
      await clock.sleep(handoverLookMs);
    }
  }

  /** Hands over, and leaves the ring. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.handOver();
    this.acting.stop();
    for (const partition of this.partitions) if (partition.role !== 'elsewhere') partition.lose();
    await this.#parts.announcer.stop();
    for (const timer of this.#timers) timer.cancel();
    for (const relay of this.table.relays) relay.stop();
    await this.#serving?.stop();
  }

  /**
   * What keeps this node from serving; undefined when nothing does.
   *
   * At first it waits for its partitions to be read back, and for every partition to have an owner; but not for those
   * that stand still: while a broker is away, the other partitions are served. Once it could serve it stays able,
   * placement is for speed only, unless the log has something to read in every partition that it owns and it reads
   * none.
   */
  notReady(): string | undefined {
    const { sinceMs } = this.#parts.membership;
    if (sinceMs === undefined) return 'the consumer group has not assigned partitions yet';
    const nowMs = this.#parts.clock.monotonic();
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

  /** Whether partitions of this node are read back, of which it serves nothing yet. */
  isReadingBack(): boolean {
    return this.partitions.some((partition) => this.#isAwaited(partition));
  }

  /** Assigned to this node, which does not serve it yet. */
  #isAwaited({ number, role, isStandby }: Partition): boolean {
    return this.#parts.assignments.isPreparing(number) || (role === 'recovering' && !isStandby);
  }

  #owned(): number {
    return this.partitions.filter(({ role }) => role === 'owned').length;
  }

  queue(): { readonly records: number; readonly recordsMax: number } {
    return this.#subscription?.queue() ?? { records: 0, recordsMax: 0 };
  }

  #look(): void {
    this.#parts.announcer.look();
    this.acting.look();
  }

  #tick(): void {
    const nowMs = this.#parts.clock.monotonic();
    this.#parts.announcer.announce();
    const looked = this.silences.look();
    this.stalled.look(nowMs);
    for (const { role, number, feed } of this.partitions) {
      if (role === 'owned') feed.interests.expire(nowMs);
      else if (role === 'elsewhere') this.table.relays[number]!.watch(nowMs);
    }
    void looked.then(() => this.#beat());
  }

  /**
   * Once the end of the partitions is known, so that the frames say how far they are read as of now; or while it
   * cannot be found out.
   */
  #beat(): void {
    for (const { role, feed, next } of this.partitions) if (role === 'owned') feed.beat(next);
  }

  get #checkpointSlots(): number {
    return Math.min(this.partitions.length, checkpointSlotsMax);
  }

  /**
   * Writes what is owned and has changed to the state topic, a few partitions at a time: all of them at once would take
   * one turn of the event loop, and every report would wait behind their records for the log.
   */
  #checkpointNext(): void {
    const slot = this.#checkpointSlot++ % this.#checkpointSlots;
    for (let number = slot; number < this.partitions.length; number += this.#checkpointSlots) {
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
