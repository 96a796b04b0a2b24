import type { Bus } from '@tailrace/bus/bus';
import type { Clock } from '@tailrace/platform/clock';
import { isTailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { PatternTrie } from '@tailrace/protocol/pattern-trie';
import type { LostReason } from '../channels/channels.ts';
import type { Device } from '../channels/device.ts';
import type { LogReport } from '../channels/log-report.ts';
import type { IdleState } from '../presence/presences.ts';
import type { Progress } from '../presence/progress.ts';
import { relaySubject } from '../subjects.ts';

const { RelayFrame } = tailrace.v1;

/** Updates are split into frames of about this size, so that each fits a bus message (1 MB on NATS by default). */
const frameBytesMax = 256 * 1024;
/** With paths of 200 bytes about the same size. */
/** The state of a device that is idle, or online by a session. */
type RelayedState = Omit<IdleState, 'state'> & { readonly state: tailrace.v1.PresenceState };

export const presencesPerFrameMax = 1_000;

/**
 * Publishes the frames of one partition to the nodes with interest in it. Each frame names the positions that it
 * covers, and starts where the last one stopped, so that a receiver detects a lost frame.
 */
export class RelayFeed {
  readonly interests: Interests;
  readonly counts: { frames: number; updates: number };
  /**
   * Whether `#updates` or `#presences` has an entry. A field, because it is read for each batch: a getter would be on
   * the path of readings in which no other node has interest.
   */
  waits = false;
  /** Number of presences sent. Never reset while the node runs. */
  presencesSent = 0;
  readonly #bus: Pick<Bus, 'publish'>;
  readonly #partition: number;
  readonly #subject: string;
  readonly #node: string;
  readonly #epoch: string;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #progress: Pick<Progress, 'watermarkMs' | 'throughMs'>;
  #generation = 0;
  /** The position up to which frames were sent, exclusive. */
  #sent = 0;
  #updates: LogReport[] = [];
  #presences: tailrace.v1.IPresence[] = [];

  constructor(options: {
    bus: Pick<Bus, 'publish'>;
    interests: Interests;
    partition: number;
    node: string;
    epoch: string;
    clock: Pick<Clock, 'monotonic'>;
    /** Of the partition. */
    progress: Pick<Progress, 'watermarkMs' | 'throughMs'>;
    counts: { frames: number; updates: number };
  }) {
    this.#bus = options.bus;
    this.interests = options.interests;
    this.#partition = options.partition;
    this.#subject = relaySubject(options.partition);
    this.#node = options.node;
    this.#epoch = options.epoch;
    this.#clock = options.clock;
    this.#progress = options.progress;
    this.counts = options.counts;
  }

  /** The node starts to serve the partition: frames start at `next`. */
  restart(generation: number, next: number): void {
    this.#generation = generation;
    this.#sent = next;
    this.#updates = [];
    this.#presences = [];
    this.waits = false;
  }

  /** Called when the node keeps the partition under a new assignment: frames continue. */
  setGeneration(generation: number): void {
    this.#generation = generation;
  }

  /**
   * Adds interest in channels for a node, and renews its lease. Everything before `next` has been offered: the first
   * frame after a time without interest starts there.
   */
  addInterest(node: string, channels: readonly string[], nowMs: number, next: number): void {
    if (this.interests.isEmpty) this.#sent = next;
    this.interests.add(node, channels, nowMs);
  }

  /** Adds a new report to the next frame if any node has interest in it. */
  offer(device: Device, logReport: LogReport): void {
    if (!this.interests.isWanted(device)) return;
    this.#updates.push(logReport);
    this.waits = true;
  }

  /** Adds the state of a device to the next frame if any node has interest in it. */
  offerPresence(device: Device, { state, sinceMs, seq, session = 0 }: RelayedState): void {
    if (!this.interests.isWanted(device)) return;
    this.#presences.push({ device: device.path, state, since: sinceMs, seq, session });
    this.presencesSent++;
    this.waits = true;
  }

  /**
   * Completes a batch: everything before `next` has been offered. Sends a frame if there is something to send.
   * `traceparent`: of the batch, if it is traced.
   */
  flush(next: number, traceparent = ''): void {
    if (this.waits) this.#send(next, traceparent);
  }

  /** Sends a frame also without updates, so that the loss of the last frame is detected. */
  heartbeat(next: number): void {
    if (!this.interests.isEmpty) this.#send(next, '');
  }

  /**
   * Skips positions without readable reports. After retention, nodes detect the gap, request the range, and the reply
   * names it, because they may have received a part of it from an owner before. No owner could read what the log cannot
   * read, so the next frame names that.
   */
  skip(from: number, until: number, reason: LostReason): void {
    this.heartbeat(from);
    if (reason === 'unreadable' && !this.interests.isEmpty) this.#publish([], until, false, '', [{ from, until }]);
    this.#sent = until;
  }

  #send(next: number, traceparent: string): void {
    const updates = this.#updates;
    this.#updates = [];
    let from = 0;
    do {
      let bytes = 0;
      let to = from;
      while (to < updates.length && bytes < frameBytesMax) bytes += updates[to++]!.bytes.length;
      const end = to < updates.length ? updates[to]!.seq : next;
      this.#publish(updates.slice(from, to), end, to >= updates.length, traceparent);
      from = to;
    } while (from < updates.length);
    while (this.#presences.length > 0) this.#publish([], next, true, traceparent);
    this.waits = false;
  }

  /**
   * `isComplete`: with these updates everything before `next` is sent. Only then presences and the watermark are added.
   */
  #publish(
    updates: readonly LogReport[],
    next: number,
    isComplete: boolean,
    traceparent: string,
    unreadable: tailrace.v1.IUnreadableRange[] = [],
  ): void {
    const presences = isComplete ? this.#presences.splice(0, presencesPerFrameMax) : [];
    const sentMs = this.#clock.monotonic();
    const frame = RelayFrame.encode({
      epoch: this.#epoch,
      partition: this.#partition,
      generation: this.#generation,
      previous: this.#sent,
      next,
      updates: updates.map((logReport) => ({ seq: logReport.seq, report: logReport.bytes })),
      node: this.#node,
      presences,
      told: this.presencesSent - this.#presences.length,
      watermark: isComplete ? this.#progress.watermarkMs : 0,
      chain: this.interests.streamEpoch,
      traceparent,
      unreadable,
      sentMs,
      behindMs: sentMs - this.#progress.throughMs,
    }).finish();
    this.#sent = next;
    this.counts.frames++;
    this.counts.updates += updates.length;
    try {
      this.#bus.publish(this.#subject, frame);
    } catch (thrown) {
      // Larger than the bus allows: the same as a lost frame. The next frame shows the gap, and nodes request the
      // range.
      if (!isTailraceError(thrown) || thrown.code !== 'too_large') throw thrown;
      this.counts.frames--;
      this.counts.updates -= updates.length;
    }
  }
}

interface Lease {
  readonly channels: Set<string>;
  expiresAt: number;
}

/**
 * The interest of other nodes in one partition that this node owns. All interest of a node is leased, and expires if
 * the node does not renew it for `leaseMs`.
 */
export class Interests {
  /** Increases with every change, which invalidates the match that a device has cached. */
  version = 0;
  readonly #leaseMs: number;
  readonly #leases = new Map<string, Lease>();
  readonly #trie = new PatternTrie<string>();
  #streamEpoch: number;

  /** `streamEpoch`: the first one, different from the ones before a restart of the node. */
  constructor(leaseMs: number, streamEpoch: number) {
    this.#leaseMs = leaseMs;
    this.#streamEpoch = streamEpoch;
  }

  /**
   * The epoch of the stream of frames. It changes when a node loses interest that it has not released. That node may
   * not notice: frames for other nodes follow each other without a gap, and lack its channels. So every frame has the
   * stream epoch, and a node whose reply had another one requests its interest again.
   */
  get streamEpoch(): number {
    return this.#streamEpoch;
  }

  get isEmpty(): boolean {
    return this.#leases.size === 0;
  }

  /** Returns the number of channels of a node. */
  held(node: string): number {
    return this.#leases.get(node)?.channels.size ?? 0;
  }

  /** Adds channels of a node, and renews the lease of all its channels. */
  add(node: string, channels: readonly string[], nowMs: number): void {
    let lease = this.#leases.get(node);
    if (lease === undefined) {
      if (channels.length === 0) return;
      lease = { channels: new Set(), expiresAt: 0 };
      this.#leases.set(node, lease);
    }
    lease.expiresAt = nowMs + this.#leaseMs;
    for (const channel of channels) {
      if (lease.channels.has(channel)) continue;
      lease.channels.add(channel);
      this.#trie.add(channel, node);
      this.version++;
    }
  }

  release(node: string, channels: Iterable<string>): void {
    const lease = this.#leases.get(node);
    if (lease === undefined) return;
    for (const channel of channels) {
      if (!lease.channels.delete(channel)) continue;
      this.#trie.delete(channel, node);
      this.version++;
    }
    if (lease.channels.size === 0) this.#leases.delete(node);
  }

  /** Removes all channels of a node, and changes the stream epoch. */
  drop(node: string): void {
    const lease = this.#leases.get(node);
    if (lease === undefined) return;
    this.#streamEpoch++;
    this.release(node, [...lease.channels]);
  }

  expire(nowMs: number): void {
    for (const [node, lease] of this.#leases) if (lease.expiresAt <= nowMs) this.drop(node);
  }

  clear(): void {
    for (const node of this.#leases.keys()) this.drop(node);
  }

  /** Whether any node has interest in the device. The match is cached until an interest is added or removed. */
  isWanted(device: Device): boolean {
    if (device.interestVersion !== this.version) {
      device.wantedElsewhere = false;
      this.#trie.match(device.path, () => {
        device.wantedElsewhere = true;
      });
      device.interestVersion = this.version;
    }
    return device.wantedElsewhere;
  }
}
