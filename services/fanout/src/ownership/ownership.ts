import type { BusSubscription } from '@tailrace/bus/bus';
import type { LogRecord, Subscription } from '@tailrace/eventlog/eventlog';
import type { Timer } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import type { LogRangeParts } from '../catchup/log-range.ts';
import { LogBlocks } from '../catchup/logblocks.ts';
import type { Channel } from '../channels/channel.ts';
import type { KnownDevices } from '../channels/known-devices.ts';
import { DeviceDirectory } from '../devices/device-directory.ts';
import { Silences } from '../presence/silences.ts';
import { OwnerDesk } from '../relay/ownerdesk.ts';
import { RepeatLookup } from '../relay/repeat-lookup.ts';
import { FanoutSpans } from '../spans.ts';
import { ownerSubject } from '../subjects.ts';
import { Acting } from './acting.ts';
import { Announcer, lookMs } from './announcer.ts';
import { Assignments, type AssignmentsParts } from './assignments.ts';
import { Checkpoints } from './checkpoints.ts';
import { Holdings } from './holdings.ts';
import { IdLookBack } from './id-look-back.ts';
import { IdMemory } from './id-memory.ts';
import { SharedTurns } from './in-turns.ts';
import { Intake } from './intake.ts';
import type { OwnershipParts } from './ownershipparts.ts';
import type { Partition } from './partition.ts';
import { ReadBack } from './read-back.ts';
import { type NodeState, type Owner, Ring } from './ring.ts';
import { StalledPartitions, stalledMs } from './stalled-partitions.ts';
import { Tail } from './tail.ts';
import { TakeOver } from './takeover.ts';

const announceMs = 500;
const renewMs = 10_000;
const checkpointMs = 5_000;
/** In so many parts at most, spread over that time. */
const checkpointSlotsMax = 100;
const lastCheckpointMs = 2_000;
const handoverLookMs = 20;
/** Of the memory for catching up: for blocks of the log that several read. */
const blocksShare = 1 / 8;

/** Which partitions this node owns, by the log's consumer group, and where it gets the others from: see docs/ARCHITECTURE.md, "Ownership". */
export class Ownership {
  readonly ring: Ring;
  readonly partitions: readonly Partition[];
  readonly counts: Holdings['counts'];
  readonly known: KnownDevices;
  readonly faults: Holdings['faults'];
  readonly silences: Silences;
  readonly #parts: OwnershipParts;
  readonly #holdings: Holdings;
  readonly #announcer: Announcer;
  readonly #desk: OwnerDesk;
  readonly checkpoints: Checkpoints;
  readonly ids: IdMemory;
  readonly idLookBack: IdLookBack;
  /** The devices of all partitions, here and elsewhere. */
  readonly devices: DeviceDirectory;
  /** How ranges of the log are read back. */
  readonly ranges: LogRangeParts & { readonly blocks: LogBlocks };
  readonly acting: Acting;
  /** Told of every change of the ring. */
  onOwner: (partition: number, owner: Owner | undefined) => void = () => {};
  readonly #assignments: Assignments;
  readonly stalled: StalledPartitions;
  readonly intake: Intake;
  #draining = false;
  #checkpointSlot = 0;
  /** Monotonic ms; once it has begun. */
  #handoverEndMs: number | undefined;
  #stopped = false;
  #couldServe = false;
  #serving: BusSubscription | undefined;
  #subscription: Subscription | undefined;
  #timers: Timer[] = [];

  constructor(parts: OwnershipParts) {
    const { clock, limits, epoch, bus } = parts;
    this.#parts = parts;
    this.silences = new Silences({
      ...parts,
      partitions: () => this.partitions,
      deliveredThroughMs: (number) => this.#holdings.deliveredThroughMs(number),
      isSettled: (number) => this.#holdings.mirrors[number]!.isSettled,
    });
    const spans = new FanoutSpans(parts);
    this.ids = new IdMemory(limits, () => clock.now());
    this.#holdings = new Holdings(parts, this.silences.freshness, spans, this.ids);
    this.partitions = this.#holdings.partitions;
    this.counts = this.#holdings.counts;
    this.known = this.#holdings.known;
    this.faults = this.#holdings.faults;
    this.ring = new Ring(parts.partitions, limits, (number, owner) => {
      this.acting.settle(number);
      this.onOwner(number, owner);
      if (this.partitions[number]!.role === 'elsewhere') this.#holdings.mirrors[number]!.follow(owner);
    });
    this.checkpoints = new Checkpoints({
      log: parts.eventLog,
      topic: parts.stateTopic,
      epoch,
      partitions: parts.partitions,
      endOf: (number) => this.#endOf(number),
      warn: (facts, sentence) => parts.log.warn(facts, sentence),
      now: () => clock.monotonic(),
    });
    const owners = {
      bus,
      ownerOf: (number: number) => this.ring.owner(number)?.node,
      deadlineMs: limits.askDeadlineMs,
    };
    const lookup = new RepeatLookup(owners);
    const monotonic = () => clock.monotonic();
    this.devices = new DeviceDirectory({
      ...{ ...owners, node: parts.node, partitions: this.partitions },
      now: monotonic,
      counts: this.counts.mirror,
    });
    this.ranges = {
      blocks: new LogBlocks(parts.eventLog, parts.topic, parts.work.limits.catchUpBytesMax * blocksShare),
      log: parts.eventLog,
      topic: parts.topic,
      ids: this.ids,
      repeatsOf: (...range) => lookup.repeatsOf(...range),
      counts: { lookBacks: 0, shortLookBacks: 0 },
    };
    this.#desk = new OwnerDesk({
      partitions: this.partitions,
      ranges: this.ranges,
      work: parts.work,
      now: () => clock.monotonic(),
      backlogRecordsMax: limits.backlogRecordsMax,
    });
    const now = () => clock.monotonic();
    this.#announcer = new Announcer({ bus, ring: this.ring, epoch, now, self: () => this.#self() });
    const announce = () => this.#announcer.announce();
    this.intake = new Intake({ ...parts, spans, partitions: this.partitions, onServing: announce });
    const { partitions, mirrors } = this.#holdings;
    const { topic, eventLog } = parts;
    const turns = new SharedTurns((call) => this.#defer(call));
    const turn = () => turns.take();
    this.idLookBack = new IdLookBack({ log: eventLog, topic, partitions, memory: this.ids, turn });
    const takeOver = new TakeOver({
      ...{ ...parts, ...limits, log: eventLog, checkpoints: this.checkpoints, known: this.known, ids: this.idLookBack },
    });
    const served = { partitions, mirrors, takeOver, log: parts.log, announce };
    this.acting = this.#createActing(served);
    const readBack = new ReadBack({ ...parts, turn, onRecords: (...read) => this.#take(...read) });
    this.#assignments = new Assignments({ ...served, readBack, topic: parts.topic, acting: this.acting, clock });
    this.stalled = new StalledPartitions(this.partitions, (number) => this.#assignments.isPreparing(number));
  }

  async #endOf(number: number): Promise<number> {
    const { eventLog, topic } = this.#parts;
    return (await eventLog.bounds(topic, [number]))[number]?.next ?? 0;
  }

  /** What is read beside the group. */
  #take(partition: number, records: readonly LogRecord[]): void {
    this.intake.take([{ topic: this.#parts.topic, partition, records }]);
  }

  /** Calls once in a later turn of the event loop, after what is ready now. */
  #defer(call: () => void): void {
    const { clock, defer = (later) => void clock.after(0, later) } = this.#parts;
    defer(call);
  }

  #createActing(served: Omit<AssignmentsParts, 'topic' | 'acting' | 'clock' | 'readBack'>): Acting {
    const { clock, log, topic, eventLog, node, limits } = this.#parts;
    const tail = new Tail({
      log: eventLog,
      topic,
      clock,
      flushMs: limits.flushMs,
      next: (number) => this.partitions[number]!.next,
      turn: () => new Promise((resolve) => this.#defer(resolve)),
      onRecords: (...read) => this.#take(...read),
      onFault: (partition, error) =>
        log.warn({ partition, error }, 'a partition without an owner could not be read; trying again'),
    });
    return new Acting({
      ...served,
      node,
      ring: this.ring,
      tail,
      now: () => clock.monotonic(),
      generation: () => this.#assignments.generation,
      deaf: () => this.#announcer.deaf,
    });
  }

  /** A rejection leaves nothing behind, and neither does a `stop` meanwhile. */
  async start(): Promise<void> {
    try {
      await this.#join();
    } catch (thrown) {
      await this.stop().catch((error: unknown) =>
        this.#parts.log.warn({ error }, 'a failed start left something behind'),
      );
      throw thrown;
    }
    if (this.#stopped) await this.stop();
  }

  async #join(): Promise<void> {
    const { bus, clock, node, eventLog, topic, group, limits, log } = this.#parts;
    this.#serving = await bus.serve(ownerSubject(node), (request) => this.#desk.answer(request));
    await this.#announcer.start();
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
      flushMs: limits.flushMs,
      onAssigned: (assignment) => this.#assignments.take(assignment),
      onBatches: (batches) => this.intake.take(batches),
      onError: (error) => {
        log.warn({ error }, 'the log had a fault; it is being worked on');
        this.#parts.onLogFault?.();
      },
    });
  }

  /**
   * Leaves the group, and goes on serving its partitions until others do, at most `handoverMs`: for clients there is no pause. Where nobody is left to take
   * them, it serves them until `stop`. Idempotent.
   */
  async handOver(): Promise<void> {
    const { clock, limits } = this.#parts;
    this.#handoverEndMs ??= clock.monotonic() + limits.handoverMs;
    this.#draining = true;
    if (this.#subscription === undefined) return;
    this.#announcer.announce();
    // So that the next owner has little to read. Where the log does not take it, it reads more.
    await withinDeadline(clock, lastCheckpointMs, () => this.#checkpointAll());
    this.#assignments.leave();
    this.#announcer.announce();
    await withinDeadline(clock, limits.handoverMs, async () => this.#subscription?.stop());
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
    await this.#announcer.stop();
    for (const timer of this.#timers) timer.cancel();
    for (const mirror of this.#holdings.mirrors) mirror.stop();
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
    const { sinceMs } = this.#assignments;
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
  #isAwaited({ number, role, acting }: Partition): boolean {
    return this.#assignments.isPreparing(number) || (role === 'recovering' && !acting);
  }

  #owned(): number {
    return this.partitions.filter(({ role }) => role === 'owned').length;
  }

  queue(): { readonly records: number; readonly recordsMax: number } {
    return this.#subscription?.queue() ?? { records: 0, recordsMax: 0 };
  }

  /** Bytes of frames held for channels that are being asked for. */
  heldBytes(): number {
    return this.#holdings.heldBytes;
  }

  /** The same of the partition that has most. */
  heldBytesMost(): number {
    return this.#holdings.heldBytesMost;
  }

  /** A channel that is new on this node gets joined to its partitions, wherever they are. */
  admit(channel: Channel): void {
    this.#holdings.admit(channel);
  }

  /** The channel was closed. */
  release(channel: Channel): void {
    this.#holdings.release(channel);
  }

  /** Up to where a channel that has been live is complete in a partition. */
  next(channel: Channel, number: number): number {
    return this.#holdings.next(channel, number);
  }

  #look(): void {
    this.#announcer.look();
    this.acting.look();
  }

  #tick(): void {
    const nowMs = this.#parts.clock.monotonic();
    this.#announcer.announce();
    const looked = this.silences.look();
    this.stalled.look(nowMs);
    for (const { role, number, feed } of this.partitions) {
      if (role === 'owned') feed.interests.expire(nowMs);
      else if (role === 'elsewhere') this.#holdings.mirrors[number]!.watch(nowMs);
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
    if (partition.role === 'owned' && !partition.acting) await this.checkpoints.write(partition, all);
  }

  #renew(): void {
    for (const mirror of this.#holdings.mirrors) mirror.renew();
  }

  #self(): NodeState {
    const { node, url, connections, connectionsMax = 0, reachable = false } = this.#parts;
    const served = this.partitions.filter((partition) => partition.role === 'owned');
    return {
      node,
      url: url(),
      generation: this.#assignments.generation,
      partitions: served.filter(({ acting }) => !acting).map(({ number }) => number),
      acting: served.filter(({ acting }) => acting).map(({ number }) => number),
      connections: connections(),
      connectionsMax,
      reachable,
      draining: this.#draining,
    };
  }
}
