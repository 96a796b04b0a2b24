import type { LogRecord } from '@tailrace/eventlog/event-log';
import { type Clock, secondOf } from '@tailrace/platform/clock';
import { assertTransition, type Transitions } from '@tailrace/platform/transition';
import { TailraceError } from '@tailrace/protocol/error';
import type { tailrace } from '@tailrace/protocol/generated';
import { checkReport } from '@tailrace/protocol/report-check';
import type { ReportHeader } from '@tailrace/protocol/report-header';
import type { Channel, Channels, LostReason, OnMissing } from '../channels/channels.ts';
import { Device, type KnownDevices, ReportInterval } from '../channels/device.ts';
import { LogReport } from '../channels/log-report.ts';
import { PathIndex } from '../channels/path-index.ts';
import type { Freshness } from '../presence/freshness.ts';
import { type ConnectedState, type IdleState, online } from '../presence/presences.ts';
import type { Progress } from '../presence/progress.ts';
import type { RelayFeed } from '../relay/relay-feed.ts';
import type { Views } from '../views/view.ts';
import { type IdMemory, RecentIds } from './recent-ids.ts';
import { keyRejectReason, type RejectedRecords, type RejectReason } from './rejected-records.ts';
import { Window, type WindowLimits } from './window.ts';

/**
 * The role of this node for a partition.
 * - `elsewhere`: another node owns the partition, or none does. Channels receive it by relay.
 * - `recovering`: the partition is assigned to this node, which reads back the records before `recoveredAt`. Channels
 *   that had joined continue from the log, new ones wait, and other nodes are not served.
 * - `owned`: this node follows the log, and serves its own channels and other nodes.
 */
export type Role = 'elsewhere' | 'recovering' | 'owned';

const transitions: Transitions<Role> = {
  elsewhere: ['recovering'],
  recovering: ['owned', 'elsewhere'],
  owned: ['elsewhere'],
};

/** The reports of a frame of the owner. */
export interface RelayedReports {
  readonly updates: readonly tailrace.v1.IRelayUpdate[];
  /** Positions that the log cannot read. */
  readonly unreadable: readonly tailrace.v1.IUnreadableRange[];
  /** Empty if it is not traced. */
  readonly traceparent: string;
}

export interface PartitionCounts {
  reports: number;
  /** Reports with a repeated message ID, which are not delivered. */
  duplicates: number;
}

/**
 * One partition on this node: the last values of its devices, and the path of each new report to the channels that
 * cover it.
 */
export class Partition {
  readonly number: number;
  /** Generation of the assignment under which this node has it, or had it last. */
  generation = 0;
  /** The next position: everything before it has been processed, while the role is not `elsewhere`. */
  next = 0;
  /** Where `recovering` becomes `owned`: the end of the partition when it was assigned. */
  recoveredAt = 0;
  /** Monotonic ms: everything appended before is before `recoveredAt`. */
  #recoveredThroughMs = Number.NEGATIVE_INFINITY;
  readonly #devices = new Map<string, Device>();
  /** The same devices in the order of their paths, so that a subtree is found without visiting other devices. */
  readonly index = new PathIndex<Device>();
  /** Devices whose last values have changed since they were written to the state topic. */
  readonly changed = new Set<Device>();
  readonly counts: PartitionCounts;
  readonly rejected: RejectedRecords;
  readonly feed: RelayFeed;
  /** The newest reports, while the role is not `elsewhere`. */
  readonly window: Window;
  /** The time up to which it has been processed, by this node or by its owner. */
  readonly progress: Progress;
  #role: Role = 'elsewhere';
  #isStandby = false;
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly #freshness: Freshness;
  readonly #channels: Channels;
  readonly #views: Views;
  readonly #known: KnownDevices;
  /** Position of the newest report of an unknown device; -1: none. */
  #unknownSeq = -1;
  readonly #idMemory: IdMemory;
  readonly #onMissing: OnMissing;
  #ids: RecentIds;

  constructor(
    number: number,
    options: {
      channels: Channels;
      views: Views;
      feed: RelayFeed;
      counts: PartitionCounts;
      known: KnownDevices;
      rejected: RejectedRecords;
      idMemory: IdMemory;
      window: WindowLimits;
      clock: Pick<Clock, 'now' | 'monotonic'>;
      freshness: Freshness;
      progress: Progress;
      onMissing: OnMissing;
    },
  ) {
    this.number = number;
    this.#channels = options.channels;
    this.#views = options.views;
    this.#known = options.known;
    this.feed = options.feed;
    this.counts = options.counts;
    this.rejected = options.rejected;
    this.#idMemory = options.idMemory;
    this.#onMissing = options.onMissing;
    this.#ids = new RecentIds(options.idMemory);
    this.window = new Window(options.window);
    this.progress = options.progress;
    this.#clock = options.clock;
    this.#freshness = options.freshness;
  }

  /** Changed by `gain`, by `lose`, and when everything is read back. */
  get role(): Role {
    return this.#role;
  }

  /** Whether this node serves it as standby owner: see `Failover`. Never while the role is `elsewhere`. */
  get isStandby(): boolean {
    return this.#isStandby;
  }

  #enter(role: Role): void {
    assertTransition(`partition ${this.number}`, transitions, this.#role, role);
    this.#role = role;
  }

  #assertHere(event: string): void {
    if (this.#role !== 'elsewhere') return;
    const message = `partition ${this.number}: expected recovering or owned for ${event}, got ${this.#role}`;
    throw new TailraceError('internal', message);
  }

  /** The known devices, by path. `device` and `forget` change it. */
  get devices(): ReadonlyMap<string, Device> {
    return this.#devices;
  }

  /**
   * Changes `elsewhere` to `recovering`: reading starts at `from`, which is not after the position of any joined
   * channel. `ids`: of the lookback before `from`. Default: there was none. `endMs`: monotonic ms;
   * everything appended before is before `recoveredAt`. Default: unknown.
   */
  gain(
    generation: number,
    from: number,
    recoveredAt: number,
    ids?: RecentIds,
    endMs: number = Number.NEGATIVE_INFINITY,
  ): void {
    this.#enter('recovering');
    this.generation = generation;
    this.next = from;
    this.recoveredAt = recoveredAt;
    this.#recoveredThroughMs = endMs;
    this.#ids.clear();
    this.#ids = ids ?? new RecentIds(this.#idMemory);
    if (ids === undefined) this.#ids.startAt(from);
    else ids.attach();
    this.window.restart(from);
    for (const channel of this.#channels.in(this.number)) {
      const { next } = channel.slot(this.number);
      // Reports that were expected from another owner come from the log now.
      if (next >= 0) channel.join(this.number, next);
      else channel.leave(this.number, 'waiting');
    }
    if (this.next >= this.recoveredAt) this.#serve();
  }

  /** Called when this node serves the partition as standby owner, until `promote` or `lose`. */
  standBy(): void {
    this.#assertHere('standing by');
    this.#isStandby = true;
  }

  /** Called when the group assigns it to this node, its standby owner, which continues at its position. */
  promote(generation: number): void {
    this.#isStandby = false;
    this.setGeneration(generation);
  }

  /** Called when the node keeps the partition under a new assignment. */
  setGeneration(generation: number): void {
    this.#assertHere('a new assignment');
    this.generation = generation;
    this.feed.setGeneration(generation);
  }

  /** Changes `recovering` or `owned` to `elsewhere`. Channels keep their position. */
  lose(): void {
    this.#enter('elsewhere');
    for (const channel of this.#channels.in(this.number)) {
      if (channel.slot(this.number).state === 'joined') channel.advance(this.number, this.next);
      channel.leave(this.number, 'waiting');
    }
    this.#isStandby = false;
    this.feed.interests.clear();
    this.#ids.clear();
    this.window.restart(0);
    this.changed.clear();
    for (const device of this.devices.values()) this.forget(device);
  }

  /**
   * Restores a device from the state topic, before `gain`. `lastSeq`: position of its newest report, which may have no
   * last value.
   */
  restore(
    path: string,
    logReports: readonly LogReport[],
    reportInterval?: { readonly intervalMs: number; readonly lastMs: number },
    lastSeq = -1,
  ): void {
    const device = this.device(path);
    if (!device.isKnown) return;
    for (const logReport of logReports) this.updateDevice(device, logReport);
    if (lastSeq > device.lastSeq) device.lastSeq = lastSeq;
    if (reportInterval !== undefined) this.#freshness.restore(device, reportInterval.intervalMs, reportInterval.lastMs);
  }

  /**
   * Processes records of the log, in order. Skips records that were processed before. Returns when ingest received the
   * oldest of their reports, epoch ms; infinite if there was none.
   */
  accept(records: readonly LogRecord[]): number {
    const nowMs = this.#clock.now();
    const nowSecond = secondOf(this.#clock.monotonic());
    let oldestMs = Number.POSITIVE_INFINITY;
    let newestMs = Number.NEGATIVE_INFINITY;
    const first = records[0]?.seq ?? this.next;
    if (first > this.next) this.#skip(first, 'retention');
    for (const record of records) {
      const { unreadable, emptyUntil } = record;
      if (unreadable !== undefined) this.#skipUnreadable(unreadable.until, unreadable.message);
      else if (emptyUntil !== undefined) this.next = Math.max(this.next, emptyUntil);
      else if (record.seq >= this.next) {
        this.next = record.seq + 1;
        try {
          const receivedMs = this.#accept(record, nowMs, nowSecond);
          if (receivedMs === undefined) continue;
          if (receivedMs < oldestMs) oldestMs = receivedMs;
          if (receivedMs > newestMs) newestMs = receivedMs;
        } catch (error) {
          this.#fail(record, error);
        }
      }
    }
    if (newestMs > Number.NEGATIVE_INFINITY) this.progress.onReports(newestMs, nowMs);
    this.progress.reach(this.next);
    if (this.#role === 'recovering' && this.next >= this.recoveredAt) this.#serve();
    return oldestMs;
  }

  /**
   * Processes a frame of the owner from position `from` on, for the channels that have joined. Called while the role is
   * `elsewhere`. Returns as `accept`.
   */
  acceptRelayed({ updates, unreadable }: RelayedReports, from: number): number {
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const update of updates) {
      const logReport = LogReport.fromUpdate(this.number, update);
      if (logReport.seq < from) continue;
      const path = logReport.report.device;
      const known = this.devices.get(path);
      // A frame also has devices for other nodes; only what a channel of this node covers is kept.
      if (!this.follows(known ?? new Device(path, this.number))) continue;
      const device = known ?? this.device(path);
      this.updateDevice(device, logReport);
      this.deliver(device, logReport);
      oldestMs = Math.min(oldestMs, logReport.header.received);
    }
    for (const range of unreadable) {
      for (const channel of this.#channels.in(this.number)) {
        if (channel.slot(this.number).state === 'joined') this.notifyUnreadable(channel, range);
      }
    }
    return oldestMs;
  }

  /** Reports positions that the log cannot read to a channel. A channel without a position misses nothing. */
  notifyUnreadable(channel: Channel, { from, until }: tailrace.v1.IUnreadableRange): void {
    const { next } = channel.slot(this.number);
    if (next < 0) return;
    this.notifyMissing(channel, Math.max(next, from ?? 0), until ?? 0, 'unreadable');
    channel.advance(this.number, until ?? 0);
  }

  /**
   * Skips the positions before `first`: retention deleted them before this node could read them, or the log cannot read
   * them.
   */
  #skip(first: number, reason: LostReason): void {
    this.window.restart(first);
    for (const channel of this.#channels.in(this.number)) {
      const { state, next } = channel.slot(this.number);
      if (state === 'joined') this.notifyMissing(channel, Math.max(next, this.next), first, reason);
    }
    if (this.#role === 'owned') this.feed.skip(this.next, first, reason);
    this.next = first;
  }

  #skipUnreadable(until: number, why: string): void {
    if (until <= this.next) return;
    this.rejected.unreadable(this.number, this.next, until, why);
    this.#skip(until, 'unreadable');
  }

  /** Handles an internal error: the record is reported as not available, and the next one is processed. */
  #fail(record: LogRecord, error: unknown): void {
    this.rejected.failed(this.number, record, error);
    this.next = record.seq;
    this.#skip(record.seq + 1, 'unreadable');
  }

  /**
   * Notifies the clients of a channel that the positions from `from` up to `until`, exclusive, are not available, then
   * delivers the known last values in that range.
   */
  notifyMissing(channel: Channel, from: number, until: number, reason: LostReason): void {
    if (from >= until) return;
    this.#onMissing(channel, this.number, from, until, reason);
    const known = [...this.lastValues(channel)].filter(({ seq }) => seq >= from && seq < until);
    for (const logReport of known.sort((a, b) => a.seq - b.seq)) this.deliverTo(channel, logReport);
  }

  /**
   * Processes one record. Returns when ingest received the report, epoch ms; undefined for a record that is not a
   * report, or is a duplicate.
   */
  #accept(record: LogRecord, nowMs: number, nowSecond: number): number | undefined {
    const known = this.#devices.get(record.key);
    const header = this.#checked(record.key, record.value, known !== undefined);
    if (typeof header === 'string') {
      this.rejected.reject(header, this.number, record);
      return undefined;
    }
    // A copy (`slice` of a Buffer makes none): otherwise the whole fetch would stay in memory as long as any view holds
    // the report.
    const logReport = new LogReport(this.number, record.seq, new Uint8Array(record.value), header);
    this.counts.reports++;
    const { id, received } = header;
    if (id !== '' && this.#ids.repeats(record.key, id, record.seq, record.timeMs)) {
      this.counts.duplicates++;
      return undefined;
    }
    const device = known ?? this.device(record.key);
    const receivedMs = received === 0 ? record.timeMs : received;
    if (device.isKnown) {
      this.#onReport(device, receivedMs, nowSecond);
      this.updateDevice(device, logReport);
      this.changed.add(device);
    } else this.#unknownSeq = record.seq;
    // For an unknown device only this is held. A record with a time in the future does not make others older.
    const atMs = Math.min(record.timeMs, nowMs);
    this.window.add(device.isKnown ? device : { path: device.path, windowSeq: -1 }, logReport, atMs);
    this.deliver(device, logReport);
    // The device has a cache of whether another node has interest in it.
    const isUnwanted = !device.wantedElsewhere && device.interestVersion === this.feed.interests.version;
    if (!isUnwanted && this.#role === 'owned') this.feed.offer(device, logReport);
    return receivedMs;
  }

  /** Updates the report interval of the device. Its next check is scheduled, unless it is new or was offline. */
  #onReport(device: Device, receivedMs: number, nowSecond: number): void {
    device.reportInterval ??= new ReportInterval();
    const { reportInterval } = device;
    reportInterval.add(receivedMs);
    if (this.#role !== 'owned') this.#freshness.onReadBack(reportInterval);
    else {
      reportInterval.reportedSecond = nowSecond;
      if (reportInterval.slot < 0) this.#freshness.schedule(device, reportInterval);
    }
  }

  /**
   * Updates the last values and the presence of a device. Called before the report is added to the views: clients are
   * notified first that the device is online again.
   */
  updateDevice(device: Device, logReport: LogReport): void {
    if (!device.isKnown) return;
    device.keep(logReport, this.#known);
    if (device.isIdle) this.#freshness.presences.reported(device, logReport.seq);
  }

  /** Sets the idle state of a device, as determined by its owner. */
  setIdle(device: Device, setIdle: IdleState): void {
    const isChange = this.#freshness.presences.setIdle(device, setIdle);
    if (isChange && this.#role === 'owned') this.feed.offerPresence(device, setIdle);
  }

  /** A session of a device is open, as determined by its owner. One that is offline is online by it. */
  setOnline(device: Device, connected: ConnectedState): void {
    if (!this.#freshness.presences.setOnline(device, connected) || this.#role !== 'owned') return;
    this.feed.offerPresence(device, { state: online, sinceMs: 0, ...connected });
    this.#freshness.watch([device]);
  }

  /** Iterates over the devices that a pattern covers and that are online by a session alone. */
  connectedDevices(pattern: string): Iterable<[Device, ConnectedState]> {
    return this.#freshness.presences.connectedIn(this.number, pattern);
  }

  /** Returns since when a device is stale or offline; undefined: it is online. */
  idleStateOf(device: Device): IdleState | undefined {
    return device.isIdle ? this.#freshness.presences.of(device) : undefined;
  }

  /** Returns the number of devices that a pattern covers and that are stale or offline. */
  notOnlineCount(pattern: string): number {
    return this.#freshness.presences.countIn({ pattern, partitions: [this.number] });
  }

  /** Iterates over the idle devices that a pattern covers. */
  idleDevices(pattern: string): Iterable<[Device, IdleState]> {
    return this.#freshness.presences.in(this.number, pattern);
  }

  /** The repeated message IDs of the reports that this node has processed. */
  get ids(): RecentIds {
    return this.#ids;
  }

  /**
   * Returns the header of a record that is read again; undefined if it is not a report, which was counted when it was
   * new.
   */
  headerOf(key: string, value: Uint8Array): ReportHeader | undefined {
    const header = this.#checked(key, value, this.devices.has(key));
    return typeof header === 'string' ? undefined : header;
  }

  /** Returns the header of a record, or why it is not a report of a device: any program may write to the topic. */
  #checked(key: string, value: Uint8Array, isKnown: boolean): ReportHeader | RejectReason {
    // The key of a device that is known was checked when it was new.
    const reason = isKnown ? undefined : keyRejectReason(key, this.number, this.#channels.partitions);
    return reason ?? checkReport(value, key);
  }

  /** Delivers a report to the channels that have joined. */
  deliver(device: Device, logReport: LogReport): void {
    for (const channel of this.#channels.of(device)) {
      if (channel.slot(this.number).state === 'joined') this.deliverTo(channel, logReport);
    }
  }

  /** Adds a report to the views of a channel, unless it was delivered before. */
  deliverTo(channel: Channel, logReport: LogReport): void {
    if (!channel.take(this.number, logReport.seq)) return;
    this.#views.add(channel, logReport);
    if (channel.liveBuffers.size > 0) for (const liveBuffer of channel.liveBuffers) liveBuffer.push(logReport);
  }

  /** Returns whether all reports from a position on are of known devices, so that each is found by its device. */
  knowsDevicesFrom(seq: number): boolean {
    return this.#unknownSeq < seq;
  }

  /** Returns whether a joined channel covers the device. */
  follows(device: Device): boolean {
    return this.#channels.of(device).some((channel) => channel.slot(this.number).state === 'joined');
  }

  /**
   * Returns the device of this path; creates it if it is new. At the limit of known devices it is for this report only.
   */
  device(path: string): Device {
    let device = this.devices.get(path);
    if (device === undefined) {
      const share = this.#known.admit(path);
      device = new Device(path, this.number, share);
      if (share !== undefined) this.#add(device);
    }
    return device;
  }

  #add(device: Device): void {
    this.#devices.set(device.path, device);
    this.index.add(device);
  }

  /** Removes a device of which this node receives nothing any more. */
  forget(device: Device): void {
    if (this.#role !== 'elsewhere' || this.#channels.of(device).length > 0) return;
    this.#freshness.presences.forget(device);
    if (!this.#devices.delete(device.path)) return;
    this.index.delete(device);
    if (device.share !== undefined) this.#known.leave(device.share, device.bytes);
  }

  /** Iterates over the last values of the devices of a channel; those of one device by position. */
  *lastValues({ pattern }: { readonly pattern: string }): Iterable<LogReport> {
    for (const device of this.index.in(pattern)) yield* device.lastValues();
  }

  /** Joins a channel that is new on this node. Called while the role is not `elsewhere`. */
  admit(channel: Channel): void {
    if (this.#role === 'owned') channel.join(this.number, this.next);
  }

  /** Changes `recovering` to `owned`. */
  #serve(): void {
    this.#enter('owned');
    this.feed.restart(this.generation, this.next);
    // Until the first poll of the end, the time of a former owner would count otherwise. Clients that join meanwhile,
    // here or by relay, would be sent an interruption since then.
    this.progress.restart(this.#recoveredThroughMs);
    this.#freshness.watch(this.devices.values());
    for (const channel of this.#channels.in(this.number)) channel.join(this.number, this.next);
  }
}
