import type { BusSubscription } from '@tailrace/bus/bus';
import type { Assignment, LogBatch, StartPositions, Subscription } from '@tailrace/eventlog/eventlog';
import type { Timer } from '@tailrace/platform/clock';
import { noSpan } from '@tailrace/platform/tracing';
import { Announcer } from './announcer.ts';
import type { Channel } from './channel.ts';
import { Checkpoints } from './checkpoints.ts';
import { Interests } from './interests.ts';
import { Mirror, type MirrorCounts } from './mirror.ts';
import { OwnerDesk } from './ownerdesk.ts';
import type { OwnershipParts } from './ownershipparts.ts';
import { Partition } from './partition.ts';
import { RelayFeed } from './relayfeed.ts';
import { Ring } from './ring.ts';
import { ownerSubject } from './subjects.ts';

const announceMs = 500;
const renewMs = 10_000;
const checkpointMs = 5_000;
const lastCheckpointMs = 2_000;

/** Which partitions this node owns, by the log's consumer group, and where it gets the others from: see docs/ARCHITECTURE.md, "Ownership". */
export class Ownership {
  readonly ring: Ring;
  readonly partitions: readonly Partition[];
  readonly counts = {
    partition: { reports: 0, repeated: 0, unreadable: 0 },
    feed: { frames: 0, updates: 0 },
    mirror: { frames: 0, foreign: 0, breaks: 0, asks: 0, askFailures: 0 } satisfies MirrorCounts,
  };
  readonly #parts: OwnershipParts;
  readonly #mirrors: readonly Mirror[];
  readonly #announcer: Announcer;
  readonly #desk: OwnerDesk;
  readonly checkpoints: Checkpoints;
  #generation = 0;
  #assigned = false;
  #stopped = false;
  #completeRingSeen = false;
  #serving: BusSubscription | undefined;
  #subscription: Subscription | undefined;
  #timers: Timer[] = [];

  constructor(parts: OwnershipParts) {
    const { clock, channels, views, limits, partitions, node, epoch, bus } = parts;
    this.#parts = parts;
    this.ring = new Ring(partitions, limits.nodeSilenceMs, (number, owner) => {
      if (this.partitions[number]?.role === 'elsewhere') this.#mirrors[number]?.follow(owner);
    });
    this.partitions = Array.from({ length: partitions }, (_, number) => {
      const interests = new Interests(limits.interestLeaseMs);
      const feed = new RelayFeed({ bus, interests, partition: number, node, epoch, counts: this.counts.feed });
      const window = { bytesMax: limits.windowBytesMax, ageMsMax: limits.windowMs };
      return new Partition(number, {
        channels,
        views,
        feed,
        counts: this.counts.partition,
        idsMax: limits.idsMax,
        window,
      });
    });
    this.#mirrors = this.partitions.map(
      (partition) =>
        new Mirror(partition, {
          ...parts,
          counts: this.counts.mirror,
          deadlineMs: limits.askDeadlineMs,
          silenceMs: limits.frameSilenceMs,
          heldBytesMax: limits.heldBytesMax,
          channels: (number) => channels.in(number),
          flush: () => views.flush(),
        }),
    );
    this.checkpoints = new Checkpoints({
      log: parts.eventLog,
      topic: parts.stateTopic,
      epoch,
      warn: (facts, sentence) => parts.log.warn(facts, sentence),
    });
    this.#desk = new OwnerDesk({
      partitions: this.partitions,
      log: parts.eventLog,
      topic: parts.topic,
      now: () => clock.monotonic(),
      backlogRecordsMax: limits.backlogRecordsMax,
    });
    this.#announcer = new Announcer({
      bus,
      ring: this.ring,
      epoch,
      now: () => clock.monotonic(),
      self: () => this.#self(),
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
      clock.every(renewMs, () => this.#renew()),
      clock.every(checkpointMs, () => void this.#checkpoint()),
    ];
    this.#subscription = await eventLog.subscribe({
      topics: [topic],
      group,
      member: node,
      flushMs: limits.flushMs,
      onAssigned: (assignment) => this.#onAssigned(assignment),
      onBatches: (batches) => this.#onBatches(batches),
      onError: (error) => log.warn({ error }, 'the log had a fault; it is being worked on'),
    });
  }

  /** Leaves the group and the ring: others take the partitions over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#subscription?.stop();
    // So that the next owner has little to read. Where the log does not take it, it reads more.
    const late = Promise.withResolvers<void>();
    const timer = this.#parts.clock.after(lastCheckpointMs, late.resolve);
    await Promise.race([this.#checkpoint(), late.promise]);
    timer.cancel();
    for (const partition of this.partitions) if (partition.role !== 'elsewhere') partition.lose();
    await this.#announcer.stop();
    for (const timer of this.#timers) timer.cancel();
    for (const mirror of this.#mirrors) mirror.stop();
    await this.#serving?.stop();
  }

  /** What keeps this node from serving; undefined when nothing does. Once it could, it stays able: placement is for speed only. */
  notReady(): string | undefined {
    if (!this.#assigned) return 'the consumer group has not assigned partitions yet';
    const recovering = this.partitions.filter((partition) => partition.role === 'recovering').length;
    if (recovering > 0) return `reading back ${recovering} partitions`;
    this.#completeRingSeen ||= this.ring.owned === this.partitions.length;
    return this.#completeRingSeen
      ? undefined
      : `${this.partitions.length - this.ring.owned} partitions have no owner yet`;
  }

  queue(): { readonly records: number; readonly recordsMax: number } {
    return this.#subscription?.queue() ?? { records: 0, recordsMax: 0 };
  }

  /** Bytes of frames held for channels that are being asked for. */
  heldBytes(): number {
    return this.#mirrors.reduce((sum, mirror) => sum + mirror.heldBytes, 0);
  }

  /** A channel that is new on this node gets joined to its partitions, wherever they are. */
  admit(channel: Channel): void {
    for (const number of channel.partitions) {
      const partition = this.partitions[number]!;
      if (partition.role === 'elsewhere') this.#mirrors[number]!.admit(channel);
      else partition.admit(channel);
    }
  }

  /** The channel was closed. */
  release(channel: Channel): void {
    for (const number of channel.partitions) {
      if (this.partitions[number]!.role === 'elsewhere') this.#mirrors[number]!.release(channel);
    }
  }

  /** Up to where a live channel is complete in a partition. */
  next(channel: Channel, number: number): number {
    const partition = this.partitions[number]!;
    const here = partition.role === 'elsewhere' ? this.#mirrors[number]!.next : partition.next;
    return Math.max(here, channel.slot(number).next);
  }

  async #onAssigned(assignment: Assignment): Promise<StartPositions> {
    const { eventLog, topic, channels, limits, onMissing, log } = this.#parts;
    const bounds = assignment.gained.length > 0 ? await eventLog.bounds(topic) : [];
    const restored = new Map(
      await Promise.all(
        assignment.gained.map(async (number) => [number, await this.checkpoints.restore(number)] as const),
      ),
    );
    const starts: Record<number, number> = {};
    this.#generation = assignment.generation;
    for (const number of assignment.lost) {
      const partition = this.partitions[number]!;
      partition.lose();
      this.#mirrors[number]!.follow(this.ring.owner(number));
    }
    for (const number of assignment.partitions) {
      const partition = this.partitions[number]!;
      if (!assignment.gained.includes(number)) {
        partition.keep(assignment.generation);
        continue;
      }
      // A member whose consumer was made anew gains what it never knew it had lost.
      if (partition.role !== 'elsewhere') partition.lose();
      this.#mirrors[number]!.stop();
      const { first, next } = bounds[number]!;
      const state = restored.get(number)!;
      for (const [path, arrivals] of state.devices) partition.restore(path, arrivals);
      // The newest records for the window; and all that the state does not hold, for the last values.
      let from = Math.max(first, Math.min(next - limits.recoveryRecordsMax, state.from ?? next));
      for (const channel of channels.in(number)) {
        const had = channel.slot(number).next;
        if (had >= 0 && had < first) onMissing(channel, number, had, first);
        if (had >= 0) from = Math.max(first, Math.min(from, had));
      }
      this.checkpoints.begin(number, state.from ?? from);
      partition.gain(assignment.generation, from, next);
      starts[number] = from;
    }
    this.#assigned = true;
    log.info(
      {
        generation: assignment.generation,
        partitions: assignment.partitions,
        gained: assignment.gained,
        lost: assignment.lost,
      },
      'partitions assigned',
    );
    this.#announcer.announce();
    return { [topic]: starts };
  }

  #onBatches(batches: readonly LogBatch[]): void {
    const { views, tracing } = this.#parts;
    const span =
      tracing.enabled && tracing.sampled() ? tracing.span('fanout batch', { partitions: batches.length }) : noSpan;
    let servesMore = false;
    for (const { partition: number, records } of batches) {
      const partition = this.partitions[number]!;
      if (partition.role === 'elsewhere') continue;
      const role = partition.role;
      partition.accept(records);
      if (partition.role !== role) servesMore = true;
    }
    views.flush();
    for (const { partition: number } of batches) {
      const partition = this.partitions[number]!;
      if (partition.role === 'owned') partition.feed.flush(partition.next);
    }
    if (servesMore) this.#announcer.announce();
    span.end();
  }

  #tick(): void {
    const nowMs = this.#parts.clock.monotonic();
    this.#announcer.announce();
    this.ring.expire(nowMs);
    for (const partition of this.partitions) {
      if (partition.role === 'owned') {
        partition.feed.interests.expire(nowMs);
        partition.feed.beat(partition.next);
      } else if (partition.role === 'elsewhere') this.#mirrors[partition.number]!.watch(nowMs);
    }
  }

  /** What is owned and has changed, into the state topic. */
  async #checkpoint(): Promise<void> {
    await Promise.all(
      this.partitions.map((partition) => partition.role === 'owned' && this.checkpoints.write(partition)),
    );
  }

  #renew(): void {
    for (const mirror of this.#mirrors) mirror.renew();
  }

  #self() {
    const { node, url, connections } = this.#parts;
    const owned = this.partitions
      .filter((partition) => partition.role === 'owned')
      .map((partition) => partition.number);
    return { node, url: url(), generation: this.#generation, partitions: owned, connections: connections() };
  }
}
