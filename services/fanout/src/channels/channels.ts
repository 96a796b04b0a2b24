import { TailraceError } from '@tailrace/protocol/error';
import { partitionOf } from '@tailrace/protocol/partition';
import { patternMatches } from '@tailrace/protocol/pattern';
import { PatternTrie } from '@tailrace/protocol/pattern-trie';
import type { ChannelViews, View, ViewedChannel } from '../views/view.ts';
import type { LogReport } from './log-report.ts';

/** The channels that are open on this node, and an index of the channels that cover a device. */
export class Channels {
  /** Increases with every change, which invalidates the match that a device has cached. */
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

  /** Number of partitions of the log. */
  get partitions(): number {
    return this.#all.length;
  }

  find(pattern: string): Channel | undefined {
    return this.#byPattern.get(pattern);
  }

  /** Returns the channel of a valid pattern; creates it if it is not open. */
  open(pattern: string): Channel {
    let channel = this.#byPattern.get(pattern);
    if (channel === undefined) {
      const subtree = pattern.endsWith('>');
      channel = new Channel(pattern, subtree ? this.#all : [partitionOf(pattern, this.#all.length)]);
      this.#byPattern.set(pattern, channel);
      this.#trie.add(pattern, channel);
      this.#setOf(channel).add(channel);
      this.version++;
    }
    return channel;
  }

  close(channel: Channel): void {
    if (this.#byPattern.get(channel.pattern) !== channel) return;
    this.#byPattern.delete(channel.pattern);
    this.#trie.delete(channel.pattern, channel);
    this.#setOf(channel).delete(channel);
    this.version++;
  }

  /** Returns the channels that cover a device. The match is cached until a channel is opened or closed. */
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

  /** Iterates over the channels with devices in a partition, without visiting others. */
  *in(partition: number): Iterable<Channel> {
    yield* this.#subtrees;
    yield* this.#byPartition[partition]!;
  }

  #setOf(channel: Channel): Set<Channel> {
    return channel.isSubtree ? this.#subtrees : this.#byPartition[channel.partitions[0]!]!;
  }
}

/**
 * The progress of a channel in one partition.
 * - `waiting`: the partition has no owner, or this node is still reading it back.
 * - `requested`: interest was requested from the owner; its reply is pending.
 * - `joined`: everything before `next` was delivered to the views; reports at or after `next` are delivered to them.
 *
 * `next` outlives a change of owner, so that interest is requested from there, without duplicates or gaps. -1: never
 * joined.
 */
export interface Slot {
  readonly state: SlotState;
  readonly next: number;
}

export type SlotState = 'waiting' | 'requested' | 'joined';

/** A slot as its channel changes it. */
type OwnSlot = { -readonly [K in keyof Slot]: Slot[K] };

/** Why reports of a live channel cannot be delivered: the log has deleted them, or cannot read them. */
export type LostReason = 'retention' | 'unreadable';

/** Called when reports of a partition from `from` up to `until`, exclusive, cannot be delivered to a channel. */
export type OnMissing = (channel: Channel, partition: number, from: number, until: number, reason: LostReason) => void;

/** The part of a device that `Channels` needs to match it. */
export interface MatchedDevice {
  readonly path: string;
  /** Cache of the channels that cover it, valid for `channelsVersion` of `Channels.version`. */
  channels: readonly Channel[];
  channelsVersion: number;
}

/**
 * A device path or pattern with subscriptions on this node: its views, and its progress in each of its partitions. Live
 * once it has joined all of them.
 */
export class Channel implements ViewedChannel {
  readonly pattern: string;
  /** The partitions of its devices: one for a device, all for a subtree. */
  readonly partitions: readonly number[];
  readonly views: ChannelViews = new Map();
  readonly plainViews = new Set<View>();
  readonly shapedViews = new Set<View>();
  readonly unshaped: LogReport[] = [];
  /** Subscriptions that wait until the channel is live. Notified once. */
  readonly waiting = new Set<{ readonly onLive: () => void }>();
  /** Buffers of subscriptions that are catching up: each gets the reports that arrive meanwhile. */
  readonly liveBuffers = new Set<LiveBuffer>();
  /** Number of its subscriptions, including those that wait. */
  subscriptions = 0;
  readonly #slots: readonly OwnSlot[];
  #joined = 0;

  constructor(pattern: string, partitions: readonly number[]) {
    this.pattern = pattern;
    this.partitions = partitions;
    this.#slots = partitions.map(() => ({ state: 'waiting', next: -1 }));
  }

  /** Whether all partitions are joined. */
  get live(): boolean {
    return this.#joined === this.partitions.length;
  }

  /**
   * Whether it covers all devices below a path, which may be in any partition, and not one device. The number of
   * partitions does not show it: the log may have one only.
   */
  get isSubtree(): boolean {
    return this.pattern.endsWith('>');
  }

  covers(devicePath: string): boolean {
    return patternMatches(this.pattern, devicePath);
  }

  /** Returns the slot of a partition. Only for partitions of this channel. */
  slot(partition: number): Slot {
    return this.#slot(partition);
  }

  #slot(partition: number): OwnSlot {
    // A subtree has all partitions, in order, so the number is the index; a device has one.
    return this.#slots.length === 1 ? this.#slots[0]! : this.#slots[partition]!;
  }

  /** From `next` on, all reports of this partition are delivered to the views. */
  join(partition: number, next: number): void {
    const slot = this.#slot(partition);
    const reached = Math.max(slot.next, next);
    if (reached < 0) throw this.#invalid(partition, 'a position to join at');
    if (slot.state !== 'joined') this.#joined++;
    slot.state = 'joined';
    slot.next = reached;
    if (this.live) this.#notifyLive();
  }

  /** Everything before `next` in this partition was delivered to the views, or named as missing. Never decreases. */
  advance(partition: number, next: number): void {
    const slot = this.#slot(partition);
    if (next > slot.next) slot.next = next;
  }

  /**
   * Returns whether the report at `seq` is new to the channel, and counts it as delivered. Throws `internal` for a
   * channel without a position in the partition: whether earlier reports were delivered is unknown.
   */
  take(partition: number, seq: number): boolean {
    const slot = this.#slot(partition);
    if (slot.next < 0) throw this.#invalid(partition, `a position before the report at ${seq}`);
    if (seq < slot.next) return false;
    slot.next = seq + 1;
    return true;
  }

  /** Adds a subscription to wait. If the channel is live, it is notified at once. */
  wait(waiting: { readonly onLive: () => void }): void {
    this.waiting.add(waiting);
    if (this.live) this.#notifyLive();
  }

  /** Called when the source of a partition is lost. Keeps the position. */
  leave(partition: number, state: Exclude<SlotState, 'joined'>): void {
    const slot = this.#slot(partition);
    if (slot.state === 'joined') this.#joined--;
    slot.state = state;
  }

  #invalid(partition: number, expected: string): TailraceError {
    const { state } = this.#slot(partition);
    const name = `channel ${this.pattern}, partition ${partition}, ${state}`;
    return new TailraceError('internal', `${name}: expected ${expected}, got none`);
  }

  #notifyLive(): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const each of waiting) each.onLive();
  }
}

/**
 * The reports that arrive on a channel while a subscription catches up, so that it can join without a gap. Bounded:
 * after an overflow it is empty and stays so.
 */
export class LiveBuffer {
  /** Oldest first, in each partition. */
  logReports: LogReport[] = [];
  overflowed = false;
  readonly bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Bytes of the reports as in the log. */
  get bytes(): number {
    return this.#bytes;
  }

  push(logReport: LogReport): void {
    if (this.overflowed) return;
    this.#bytes += logReport.bytes.length;
    if (this.#bytes <= this.bytesMax) this.logReports.push(logReport);
    else this.overflow();
  }

  /** Drops its reports: it is incomplete from now on. */
  overflow(): void {
    this.overflowed = true;
    this.logReports = [];
  }

  /** Returns the reports, and empties the buffer. */
  take(): LogReport[] {
    const logReports = this.logReports;
    this.logReports = [];
    this.#bytes = 0;
    return logReports;
  }
}
