import { partitionOf } from '@tailrace/protocol/partition';
import { PatternTrie } from '@tailrace/protocol/pattern-trie';
import { TailraceError } from '@tailrace/protocol/error';
import { patternMatches } from '@tailrace/protocol/pattern';
import type { ChannelViews, View, ViewedChannel } from '../views/view.ts';
import type { LogReport } from './log-report.ts';

/** Every channel that somebody on this node watches, and which of them a device belongs to. */
export class Channels {
  /** Grows with every change, so that a device knows when its cached match is out of date. */
  version = 0;
  readonly #byPattern = new Map<string, Channel>();
  readonly #trie = new PatternTrie<Channel>();
  readonly #all: readonly number[];
  readonly #subtrees = new Set<Channel>();
  /** Channels of one device, by its partition. */
  readonly #byPartition: readonly Set<Channel>[];

  constructor(partitions: number) {
    this.#all = Array.from({ length: partitions }, (_, partition) => partition);
    this.#byPartition = this.#all.map(() => new Set<Channel>());
  }

  get size(): number {
    return this.#byPattern.size;
  }

  /** Of the log. */
  get partitions(): number {
    return this.#all.length;
  }

  find(pattern: string): Channel | undefined {
    return this.#byPattern.get(pattern);
  }

  /** The channel of a valid pattern, made if it is new. */
  open(pattern: string): Channel {
    let channel = this.#byPattern.get(pattern);
    if (channel === undefined) {
      const subtree = pattern.endsWith('>');
      channel = new Channel(pattern, subtree ? this.#all : [partitionOf(pattern, this.#all.length)]);
      this.#byPattern.set(pattern, channel);
      this.#trie.add(pattern, channel);
      this.#alike(channel).add(channel);
      this.version++;
    }
    return channel;
  }

  close(channel: Channel): void {
    if (this.#byPattern.get(channel.pattern) !== channel) return;
    this.#byPattern.delete(channel.pattern);
    this.#trie.delete(channel.pattern, channel);
    this.#alike(channel).delete(channel);
    this.version++;
  }

  /** The channels that cover a device, matched once and then remembered until a channel comes or goes. */
  of(device: MatchedDevice): readonly Channel[] {
    if (device.channelsVersion !== this.version) {
      const channels: Channel[] = [];
      this.#trie.match(device.path, (channel) => channels.push(channel));
      device.channels = channels;
      device.channelsVersion = this.version;
    }
    return device.channels;
  }

  all(): Iterable<Channel> {
    return this.#byPattern.values();
  }

  /** Channels with devices in a partition. Others are not looked at. */
  *in(partition: number): Iterable<Channel> {
    yield* this.#subtrees;
    yield* this.#byPartition[partition]!;
  }

  #alike(channel: Channel): Set<Channel> {
    return channel.isSubtree ? this.#subtrees : this.#byPartition[channel.partitions[0]!]!;
  }
}

/**
 * How far a channel has come in one partition.
 * - `waiting`: nobody known to have the partition, or this node still reads it back.
 * - `asking`: its owner was asked for the channel; the answer is under way.
 * - `joined`: everything before `next` has gone to the views; what comes at or after `next` goes to them.
 *
 * `next` outlives a change of owner, so that the new one is asked from there: nothing twice, nothing skipped. -1: never joined yet.
 */
export interface Slot {
  readonly state: SlotState;
  readonly next: number;
}

export type SlotState = 'waiting' | 'asking' | 'joined';

/** Changed by its channel alone. */
type OwnSlot = { -readonly [K in keyof Slot]: Slot[K] };

/** Why reports that a live channel was to be given cannot be had: the log has let them go, or cannot read them. */
export type LostReason = 'retention' | 'unreadable';

/** Told that reports of a partition, from a position on up to another, exclusive, cannot be had for a channel. */
export type OnMissing = (channel: Channel, partition: number, from: number, until: number, reason: LostReason) => void;

/** A device as channels are matched to it. */
export interface MatchedDevice {
  readonly path: string;
  /** Channels that cover it, as of `channelsVersion` of the registry: a cache of the match. */
  channels: readonly Channel[];
  channelsVersion: number;
}

/**
 * A device path or pattern that somebody on this node watches: its views, and its progress in each partition it touches.
 * Live once it has joined all of them.
 */
export class Channel implements ViewedChannel {
  readonly pattern: string;
  /** The partitions in which its devices lie: one for a device, all for a subtree. */
  readonly partitions: readonly number[];
  readonly views: ChannelViews = new Map();
  readonly plainViews = new Set<View>();
  readonly shapedViews = new Set<View>();
  readonly unshaped: LogReport[] = [];
  /** Subscriptions that wait until the channel is live. Told once. */
  readonly waiting = new Set<{ readonly onLive: () => void }>();
  /** Of subscriptions that are still catching up: each is given what comes meanwhile. */
  readonly liveBuffers = new Set<LiveBuffer>();
  /** Subscriptions on it, including those that still wait. */
  subscriptions = 0;
  readonly #slots: readonly OwnSlot[];
  #joined = 0;

  constructor(pattern: string, partitions: readonly number[]) {
    this.pattern = pattern;
    this.partitions = partitions;
    this.#slots = partitions.map(() => ({ state: 'waiting', next: -1 }));
  }

  /** All partitions joined. */
  get live(): boolean {
    return this.#joined === this.partitions.length;
  }

  /** Of all devices below a path, which may lie in any partition; not of one device. The log may have a single partition for both. */
  get isSubtree(): boolean {
    return this.pattern.endsWith('>');
  }

  covers(devicePath: string): boolean {
    return patternMatches(this.pattern, devicePath);
  }

  /** The slot of a partition. Only for partitions of this channel. */
  slot(partition: number): Slot {
    return this.#slot(partition);
  }

  #slot(partition: number): OwnSlot {
    // A subtree has all partitions, in order, so the number is the index; a device has one.
    return this.#slots.length === 1 ? this.#slots[0]! : this.#slots[partition]!;
  }

  /** From `next` on, everything in this partition goes to the views. */
  join(partition: number, next: number): void {
    const slot = this.#slot(partition);
    const reached = Math.max(slot.next, next);
    if (reached < 0) throw this.#invalid(partition, 'a position to join at');
    if (slot.state !== 'joined') this.#joined++;
    slot.state = 'joined';
    slot.next = reached;
    if (this.live) this.#tellLive();
  }

  /** Everything before `next` in this partition was delivered to the views, or named as missing. Never goes back. */
  advance(partition: number, next: number): void {
    const slot = this.#slot(partition);
    if (next > slot.next) slot.next = next;
  }

  /**
   * Returns whether the report at `seq` is new to the channel, and counts it as delivered. Throws `internal` for a
   * channel that has never joined the partition and has no position there: what is before the report is not known.
   */
  take(partition: number, seq: number): boolean {
    const slot = this.#slot(partition);
    if (slot.next < 0) throw this.#invalid(partition, `a position before the report at ${seq}`);
    if (seq < slot.next) return false;
    slot.next = seq + 1;
    return true;
  }

  /** One more waits; where the channel is live it is told at once. */
  wait(waiting: { readonly onLive: () => void }): void {
    this.waiting.add(waiting);
    if (this.live) this.#tellLive();
  }

  /** The partition has gone from where the channel got it. What was delivered stays known. */
  part(partition: number, state: Exclude<SlotState, 'joined'>): void {
    const slot = this.#slot(partition);
    if (slot.state === 'joined') this.#joined--;
    slot.state = state;
  }

  #invalid(partition: number, expected: string): TailraceError {
    const { state } = this.#slot(partition);
    const name = `channel ${this.pattern}, partition ${partition}, ${state}`;
    return new TailraceError('internal', `${name}: expected ${expected}, got none`);
  }

  #tellLive(): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const each of waiting) each.onLive();
  }
}

/**
 * What comes on a channel while a subscription catches up, so that it can join without a gap. Bounded: one that has
 * overflowed is of no use any more.
 */
export class LiveBuffer {
  /** Oldest first, in each partition. */
  logReports: LogReport[] = [];
  overflowed = false;
  #bytes = 0;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Of the reports as they lie in the log. */
  get bytes(): number {
    return this.#bytes;
  }

  push(logReport: LogReport): void {
    if (this.overflowed) return;
    this.#bytes += logReport.bytes.length;
    if (this.#bytes <= this.#bytesMax) this.logReports.push(logReport);
    else this.overflow();
  }

  /** It does not have everything that comes. */
  overflow(): void {
    this.overflowed = true;
    this.logReports = [];
  }

  /** Returns what has come, once. */
  take(): LogReport[] {
    const logReports = this.logReports;
    this.logReports = [];
    this.#bytes = 0;
    return logReports;
  }
}
