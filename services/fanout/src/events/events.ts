import type { Bus } from '@tailrace/bus/bus';
import type { EventLog, LogRecord, ReadRange } from '@tailrace/eventlog/event-log';
import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import type { tailrace } from '@tailrace/protocol/generated';
import type { Ring } from '../ownership/ring.ts';
import { EventBoard, type EventBoardCounts } from './event-board.ts';
import { EventFeed } from './event-feed.ts';
import type { EventSource } from './event-hub.ts';
import { EventReader } from './event-reader.ts';
import { EventReplica, type EventReplicaCounts } from './event-replica.ts';

/** How often replicas are checked, and frames without events are sent, ms. */
const checkMs = 1_000;
/** A board that no client needs is kept up to date for this long: clients that reconnect need it at once. */
const lingerMs = 30_000;
/** A poll requests the end of every partition: with many of them it is made less often. */
const partitionsPerMs = 8;
const windowBytesMin = 65_536;
const alarmsMin = 100;

export interface EventsLimits {
  /** Interval of reads of new events, ms; less often with hundreds of partitions. */
  readonly eventsPollMs: number;
  /** Memory for the newest events of all partitions, bytes. */
  readonly eventWindowBytesMax: number;
  /** Alarms that are not normal, of all partitions. */
  readonly alarmsMax: number;
  readonly ownerRequestTimeoutMs: number;
}

export interface EventsOptions {
  readonly eventLog: Pick<EventLog, 'endOffsets' | 'bounds' | 'read'>;
  readonly topic: string;
  readonly alarmsTopic: string;
  /** Of the topic of events. */
  readonly epoch: string;
  readonly range: (topic: string, partition: number, range: ReadRange) => AsyncIterable<readonly LogRecord[]>;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly node: string;
  readonly partitions: readonly { readonly number: number; readonly role: string; readonly generation: number }[];
  readonly ring: Pick<Ring, 'owner' | 'onChange'>;
  readonly limits: EventsLimits;
}

/**
 * The events of alarms, commands and leases on this node: a board for each partition that it owns or that its clients
 * watch. Boards of its own are read from the log and published to other nodes; the others follow their owner.
 */
export class Events implements EventSource {
  readonly boards: readonly EventBoard[];
  readonly counts: EventBoardCounts = { accepted: 0, repeated: 0, invalid: 0, dropped: 0 };
  readonly replicaCounts: EventReplicaCounts = { frames: 0, rejected: 0, gaps: 0, requests: 0, requestFailures: 0 };
  readonly feeds: readonly EventFeed[];
  readonly #options: EventsOptions;
  readonly #reader: EventReader;
  readonly #replicas: (EventReplica | undefined)[] = [];
  /** By partition: how many subscriptions need it, and since when none does, monotonic ms. */
  readonly #wanted: number[];
  readonly #unwantedSinceMs: number[];
  #timers: Timer[] = [];

  constructor(options: EventsOptions) {
    this.#options = options;
    const { partitions, limits, bus, clock, node, epoch } = options;
    const boardLimits = {
      windowBytesMax: Math.max(windowBytesMin, Math.floor(limits.eventWindowBytesMax / partitions.length)),
      alarmsMax: Math.max(alarmsMin, Math.floor(limits.alarmsMax / partitions.length)),
    };
    this.boards = partitions.map(({ number }) => new EventBoard(number, boardLimits, this.counts));
    this.feeds = this.boards.map((board) => new EventFeed({ bus, clock, node, epoch, board }));
    this.#wanted = partitions.map(() => 0);
    this.#unwantedSinceMs = partitions.map(() => 0);
    this.#reader = new EventReader({
      eventLog: options.eventLog,
      topic: options.topic,
      alarmsTopic: options.alarmsTopic,
      partitions,
      boards: this.boards,
      range: options.range,
      clock,
      logger: options.logger,
      onRead: (partition) => this.#publish(partition),
      onGained: (partition) => this.#stopReplica(partition),
      onLost: (partition) => this.#follow(partition),
    });
    options.ring.onChange((partition, owner) => this.#replicas[partition]?.follow(owner));
  }

  /** Partitions whose board this node fills from the frames of other nodes. */
  get replicas(): number {
    return this.#replicas.filter((replica) => replica !== undefined).length;
  }

  /** Partitions of this node whose events are not read back yet. */
  get unread(): number {
    return this.boards.filter(({ partition, isReady }) => this.#reader.reads(partition) && !isReady).length;
  }

  start(): void {
    const { clock, limits, partitions } = this.#options;
    const pollMs = Math.max(limits.eventsPollMs, partitions.length / partitionsPerMs);
    this.#timers = [clock.every(pollMs, () => void this.#reader.poll()), clock.every(checkMs, () => this.#check())];
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
    for (const replica of this.#replicas) replica?.stop();
  }

  want(partition: number): void {
    if (this.#wanted[partition]!++ === 0) this.#follow(partition);
  }

  release(partition: number): void {
    if (--this.#wanted[partition]! === 0) this.#unwantedSinceMs[partition] = this.#options.clock.monotonic();
  }

  async history(
    partition: number,
    from: number,
    until: number,
  ): Promise<readonly tailrace.v1.IRelayEvent[] | undefined> {
    return this.#replicas[partition]?.history(from, until);
  }

  /** Returns the parts of the reply to a node that follows the partition. Throws `unavailable`. */
  reply(partition: number, request: tailrace.v1.IEventsRequest): Uint8Array[] {
    const board = this.boards[partition];
    if (board?.isReady && this.#reader.reads(partition)) return this.feeds[partition]!.reply(request);
    const expected = 'expected a partition whose events this node owns and has read';
    throw new TailraceError('unavailable', `${expected}, got ${partition}: send the request to its owner`);
  }

  #publish(partition: number): void {
    const feed = this.feeds[partition]!;
    feed.generation = this.#options.partitions[partition]!.generation;
    feed.publish();
  }

  #check(): void {
    const nowMs = this.#options.clock.monotonic();
    for (const { partition } of this.boards) {
      if (this.#reader.reads(partition)) this.#publish(partition);
      else if (this.#wanted[partition] === 0 && nowMs - this.#unwantedSinceMs[partition]! > lingerMs) {
        this.#stopReplica(partition);
        // No client needs it, and it is no longer complete.
        if (this.boards[partition]!.isReady) this.boards[partition]!.reset(0);
      } else this.#replicas[partition]?.check();
    }
  }

  /** Follows the owner of a partition that is wanted, and that this node does not read itself. */
  #follow(partition: number): void {
    if (this.#replicas[partition] !== undefined || this.#reader.reads(partition)) return;
    if (this.#wanted[partition] === 0) {
      this.#unwantedSinceMs[partition] = this.#options.clock.monotonic();
    }
    const { bus, clock, logger, random, node, epoch, ring, limits } = this.#options;
    const replica = new EventReplica({
      bus,
      clock,
      logger,
      random,
      node,
      epoch,
      board: this.boards[partition]!,
      counts: this.replicaCounts,
      deadlineMs: limits.ownerRequestTimeoutMs,
    });
    this.#replicas[partition] = replica;
    replica.follow(ring.owner(partition));
  }

  #stopReplica(partition: number): void {
    this.#replicas[partition]?.stop();
    this.#replicas[partition] = undefined;
  }
}
