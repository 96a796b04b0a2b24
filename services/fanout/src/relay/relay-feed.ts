import type { Bus } from '@tailrace/bus/bus';
import type { Clock } from '@tailrace/platform/clock';
import { isTailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import type { LostReason } from '../channels/channels.ts';
import type { Device } from '../channels/device.ts';
import type { LogReport } from '../channels/log-report.ts';
import type { Silence } from '../presence/presences.ts';
import { relaySubject } from '../subjects.ts';
import { PatternTrie } from '@tailrace/protocol/pattern-trie';

const { RelayFrame } = tailrace.v1;

/** Updates are cut into frames of about this size, so that one always fits a bus message (1 MB on NATS by default). */
const frameBytesMax = 256 * 1024;
/** With paths of 200 bytes about as much. */
export const presencesPerFrameMax = 1_000;

/**
 * What an owner says of one partition to the nodes that want something of it: frames that name the positions they cover, each
 * beginning where the last one ended, so that a receiver sees when one is missing.
 */
export class RelayFeed {
  readonly interests: Interests;
  readonly counts: { frames: number; updates: number };
  /** Epoch ms: what ingest took before has been offered. */
  watermarkMs = 0;
  /** As `Progress.throughMs`. */
  readThroughMs = Number.NEGATIVE_INFINITY;
  /** Presences told so far. Never counted anew while the node lives. */
  told = 0;
  readonly #bus: Pick<Bus, 'publish'>;
  readonly #partition: number;
  readonly #subject: string;
  readonly #node: string;
  readonly #epoch: string;
  readonly #clock: Pick<Clock, 'monotonic'>;
  #generation = 0;
  /** Where the last frame ended. */
  #sent = 0;
  #updates: LogReport[] = [];
  #presences: tailrace.v1.IPresence[] = [];

  constructor(parts: {
    bus: Pick<Bus, 'publish'>;
    interests: Interests;
    partition: number;
    node: string;
    epoch: string;
    clock: Pick<Clock, 'monotonic'>;
    counts: { frames: number; updates: number };
  }) {
    this.#bus = parts.bus;
    this.interests = parts.interests;
    this.#partition = parts.partition;
    this.#subject = relaySubject(parts.partition);
    this.#node = parts.node;
    this.#epoch = parts.epoch;
    this.#clock = parts.clock;
    this.counts = parts.counts;
  }

  /** The node begins to serve the partition: a new chain, from `next` on. */
  restart(generation: number, next: number): void {
    this.#generation = generation;
    this.#sent = next;
    this.#updates = [];
    this.#presences = [];
  }

  /** The node keeps the partition under a new assignment: the chain goes on. */
  renew(generation: number): void {
    this.#generation = generation;
  }

  /** A new report: goes into the next frame if any node wants it. */
  offer(device: Device, logReport: LogReport): void {
    if (!this.interests.empty && this.interests.want(device)) this.#updates.push(logReport);
  }

  /** A device does not speak any more: goes into the next frame if any node wants it. */
  tell(device: Device, { state, sinceMs, seq }: Silence): void {
    if (this.interests.empty || !this.interests.want(device)) return;
    this.#presences.push({ device: device.path, state, since: sinceMs, seq });
    this.told++;
  }

  /** Whether something has been offered that some node wants. */
  get waits(): boolean {
    return this.#updates.length > 0 || this.#presences.length > 0;
  }

  /** Ends a batch: everything before `next` has been offered. Sends what is wanted; with nothing wanted, nothing. `traceparent`: of the batch, where it is traced. */
  flush(next: number, traceparent = ''): void {
    if (this.interests.empty) this.#sent = next;
    if (this.waits) this.#send(next, traceparent);
  }

  /** Says how far the partition has come although there is no news, so that the loss of the last frame is noticed too. */
  beat(next: number): void {
    if (!this.interests.empty) this.#send(next, '');
  }

  /**
   * What lies between cannot be had. Where retention took it, nodes see that something is missing, ask, and are told
   * what: they may have had some of it from an owner before. What the log cannot read no owner could, so the next frame
   * says it.
   */
  passOver(from: number, until: number, reason: LostReason): void {
    this.beat(from);
    if (reason === 'unreadable' && !this.interests.empty) this.#publish([], until, false, '', [{ from, until }]);
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
  }

  /** `complete`: with these updates everything before `next` has been sent. Only then silences follow, and the time until which it holds. */
  #publish(
    updates: readonly LogReport[],
    next: number,
    complete: boolean,
    traceparent: string,
    unreadable: tailrace.v1.IUnreadableRange[] = [],
  ): void {
    const presences = complete ? this.#presences.splice(0, presencesPerFrameMax) : [];
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
      told: this.told - this.#presences.length,
      watermark: complete ? this.watermarkMs : 0,
      chain: this.interests.chain,
      traceparent,
      unreadable,
      sentMs,
      behindMs: sentMs - this.readThroughMs,
    }).finish();
    this.#sent = next;
    this.counts.frames++;
    this.counts.updates += updates.length;
    try {
      this.#bus.publish(this.#subject, frame);
    } catch (thrown) {
      // More than the bus takes: as if it were lost. The next frame shows it, and nodes ask. What else is to be sent
      // goes on.
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
 * What other nodes want of one partition that this node owns. A node's interest is leased: it lapses, all of it, when the node
 * has not renewed it for `leaseMs`.
 */
export class Interests {
  /** Grows with every change, so that a device knows when its cached answer is out of date. */
  version = 0;
  readonly #leaseMs: number;
  readonly #leases = new Map<string, Lease>();
  readonly #trie = new PatternTrie<string>();
  #chain: number;

  /** `chain`: the first one; other than that of the node's last start. */
  constructor(leaseMs: number, chain = 0) {
    this.#leaseMs = leaseMs;
    this.#chain = chain;
  }

  /**
   * Changes when a node loses what it holds without having asked for that. It may not know: frames that others still want follow each other without a gap, and lack
   * what it wants. So every frame names its chain, and whoever was answered under another one asks again.
   */
  get chain(): number {
    return this.#chain;
  }

  get empty(): boolean {
    return this.#leases.size === 0;
  }

  /** Channels that a node holds here. */
  held(node: string): number {
    return this.#leases.get(node)?.channels.size ?? 0;
  }

  /** Takes down what a node wants more, and renews the lease of all it has. */
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

  /** Ends all that a node holds. */
  drop(node: string): void {
    const lease = this.#leases.get(node);
    if (lease === undefined) return;
    this.#chain++;
    this.release(node, [...lease.channels]);
  }

  expire(nowMs: number): void {
    for (const [node, lease] of this.#leases) if (lease.expiresAt <= nowMs) this.drop(node);
  }

  clear(): void {
    for (const node of this.#leases.keys()) this.drop(node);
  }

  /** Whether any node wants the device. Matched once and then remembered until an interest comes or goes. */
  want(device: Device): boolean {
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
