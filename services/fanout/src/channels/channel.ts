import { patternMatches } from '@tailrace/protocol/pattern';
import type { LiveBuffer } from '../catch-up/live-buffer.ts';
import type { ChannelViews, View, ViewedChannel } from '../views/view.ts';
import type { LogReport } from './log-report.ts';

/**
 * The progress of a channel in one partition.
 * - `waiting`: the partition has no owner, or this node is still reading it back.
 * - `asking`: interest was requested from the owner; its reply is pending.
 * - `joined`: everything before `next` was delivered to the views; reports at or after `next` are delivered to them.
 *
 * `next` outlives a change of owner, so that the new owner is asked from there, without duplicates or gaps. -1: never
 * joined.
 */
export interface Slot {
  state: 'waiting' | 'asking' | 'joined';
  next: number;
}

/** Why reports of a live channel cannot be delivered: the log has deleted them, or cannot read them. */
export type LostReason = 'retention' | 'unreadable';

/** Called when reports of a partition from `from` up to `until`, exclusive, cannot be delivered to a channel. */
export type OnMissing = (channel: Channel, partition: number, from: number, until: number, reason: LostReason) => void;

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
  readonly #slots: readonly Slot[];
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
    // A subtree has all partitions, in order, so the number is the index; a device has one.
    return this.#slots.length === 1 ? this.#slots[0]! : this.#slots[partition]!;
  }

  /** From `next` on, all reports of this partition are delivered to the views. */
  join(partition: number, next: number): void {
    const slot = this.slot(partition);
    if (slot.state !== 'joined') this.#joined++;
    slot.state = 'joined';
    slot.next = Math.max(slot.next, next);
    if (this.live) this.#notifyLive();
  }

  /** Adds a subscription to wait. If the channel is live, it is notified at once. */
  wait(waiting: { readonly onLive: () => void }): void {
    this.waiting.add(waiting);
    if (this.live) this.#notifyLive();
  }

  /** The source of the partition is lost. The position is kept. */
  part(partition: number, state: 'waiting' | 'asking'): void {
    const slot = this.slot(partition);
    if (slot.state === 'joined') this.#joined--;
    slot.state = state;
  }

  #notifyLive(): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const each of waiting) each.onLive();
  }
}
