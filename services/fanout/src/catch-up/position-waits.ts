import type { Clock, Timer } from '@tailrace/platform/clock';
import { firstIndex } from '@tailrace/platform/first-index';
import type { Positions } from '@tailrace/protocol/position';
import type { Channel } from '../channels/channels.ts';

/** Interval of the checks, ms. */
const checkMs = 10;
/**
 * Maximum of the partitions checked, and of the waits that expire, in one run; the rest follows in the next ones. A
 * client chooses how many channels it waits for, and must not delay other clients.
 */
const checksPerRun = 256;

/** The first partition that was not reached before the deadline. */
export interface NotReached {
  readonly partition: number;
  /** The awaited position. */
  readonly last: number;
  /** The next position of the channel on this node. */
  readonly next: number;
  /** When the wait started, monotonic ms. */
  readonly startMs: number;
}

interface Waiter {
  readonly channel: Channel;
  readonly after: Positions;
  readonly startMs: number;
  /** Index of the awaited partition in `channel.partitions`. */
  at: number;
  resolve: (result: NotReached | undefined) => void;
}

/** The waiters for one partition of a channel. */
interface Group {
  readonly channel: Channel;
  readonly partition: number;
  /** By position, lowest last. */
  waiters: Waiter[];
}

/**
 * Waits until this node has a channel up to a position. One timer checks for all waiters, and a channel is checked once
 * for all of them, so the work does not grow with the subscriptions.
 */
export class PositionWaits {
  /** Checks of a channel's partition by the timer, and runs of the timer. */
  readonly counts = { checks: 0, runs: 0 };
  readonly #next: (channel: Channel, partition: number) => number;
  readonly #clock: Pick<Clock, 'monotonic' | 'after'>;
  readonly #deadlineMs: number;
  /** In the order in which they are checked. */
  readonly #groups = new Map<Channel, Map<number, Group>>();
  readonly #order = new Set<Group>();
  /** In the order of their deadlines. */
  readonly #waiters = new Set<Waiter>();
  #timer: Timer | undefined;

  constructor(options: {
    readonly next: (channel: Channel, partition: number) => number;
    readonly clock: Pick<Clock, 'monotonic' | 'after'>;
    readonly deadlineMs: number;
  }) {
    this.#next = options.next;
    this.#clock = options.clock;
    this.#deadlineMs = options.deadlineMs;
  }

  /** Waits in progress. */
  get size(): number {
    return this.#waiters.size;
  }

  /** Resolves with undefined once this node has the channel up to `after`; with what is missing after the deadline. */
  async reach(channel: Channel, after: Positions): Promise<NotReached | undefined> {
    const waiter: Waiter = { channel, after, startMs: this.#clock.monotonic(), at: 0, resolve: () => {} };
    if (this.#hasReached(waiter)) return undefined;
    return new Promise((resolve) => {
      waiter.resolve = resolve;
      this.#waiters.add(waiter);
      this.#add(waiter);
      this.#timer ??= this.#clock.after(checkMs, () => this.#check());
    });
  }

  /** Moves to the first partition that is not reached. Returns whether there is none. */
  #hasReached(waiter: Waiter): boolean {
    const { partitions } = waiter.channel;
    while (waiter.at < partitions.length) {
      if (lastOf(waiter) >= this.#next(waiter.channel, partitions[waiter.at]!)) return false;
      waiter.at++;
    }
    return true;
  }

  #add(waiter: Waiter): void {
    const { channel } = waiter;
    const partition = partitionOf(waiter);
    let groups = this.#groups.get(channel);
    if (groups === undefined) {
      groups = new Map();
      this.#groups.set(channel, groups);
    }
    let group = groups.get(partition);
    if (group === undefined) {
      group = { channel, partition, waiters: [] };
      groups.set(partition, group);
      this.#order.add(group);
    }
    const last = lastOf(waiter);
    const { waiters } = group;
    const at = firstIndex(0, waiters.length, (i) => lastOf(waiters[i]!) <= last);
    waiters.splice(at, 0, waiter);
  }

  #check(): void {
    this.#timer = undefined;
    this.counts.runs++;
    let left = Math.min(checksPerRun, this.#order.size);
    for (const group of this.#order) {
      if (left-- === 0) break;
      // Moves it behind the others.
      this.#order.delete(group);
      this.#order.add(group);
      this.#checkGroup(group);
    }
    this.#expire();
    if (this.#waiters.size > 0) this.#timer = this.#clock.after(checkMs, () => this.#check());
  }

  #checkGroup(group: Group): void {
    const { channel, partition, waiters } = group;
    this.counts.checks++;
    const next = this.#next(channel, partition);
    while (waiters.length > 0) {
      const waiter = waiters.at(-1)!;
      if (lastOf(waiter) >= next) break;
      waiters.pop();
      if (this.#hasReached(waiter)) this.#end(waiter, undefined);
      else this.#add(waiter);
    }
    if (waiters.length === 0) this.#remove(group);
  }

  #remove(group: Group): void {
    const groups = this.#groups.get(group.channel)!;
    this.#order.delete(group);
    groups.delete(group.partition);
    if (groups.size === 0) this.#groups.delete(group.channel);
  }

  #expire(): void {
    const nowMs = this.#clock.monotonic();
    const changed = new Set<Group>();
    let left = checksPerRun;
    for (const waiter of this.#waiters) {
      if (nowMs - waiter.startMs <= this.#deadlineMs || left-- === 0) break;
      changed.add(this.#groups.get(waiter.channel)!.get(partitionOf(waiter))!);
      this.#end(waiter, this.#expired(waiter));
    }
    for (const group of changed) {
      group.waiters = group.waiters.filter((waiter) => this.#waiters.has(waiter));
      if (group.waiters.length === 0) this.#remove(group);
    }
  }

  /** Returns the result of a wait at its deadline. The last check may have been before the position was reached. */
  #expired(waiter: Waiter): NotReached | undefined {
    if (this.#hasReached(waiter)) return undefined;
    const partition = partitionOf(waiter);
    const next = this.#next(waiter.channel, partition);
    return { partition, last: lastOf(waiter), next, startMs: waiter.startMs };
  }

  #end(waiter: Waiter, result: NotReached | undefined): void {
    this.#waiters.delete(waiter);
    waiter.resolve(result);
  }
}

function partitionOf({ channel, at }: Waiter): number {
  return channel.partitions[at]!;
}

function lastOf(waiter: Waiter): number {
  return waiter.after.last(partitionOf(waiter)) ?? -1;
}
