import type { EventLog, LogRecord, ReadRange } from '@tailrace/eventlog/event-log';
import { recordEnd } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { tailrace } from '@tailrace/protocol/generated';
import type { Device } from '../channels/device.ts';
import type { OpenSession } from './freshness.ts';
import { type ConnectedState, type IdleState, offline } from './presences.ts';
import type { Progress } from './progress.ts';

const { Event } = tailrace.v1;

/** For the replies of brokers to a poll. */
const waitMs = 1_000;
/** The longest grace that is accepted from an event. */
const graceMsMax = 60_000;
/** An ingest process is gone, and its sessions with it, after this time without an `IngestAlive`: it misses three. */
const aliveTimeoutMs = 60_000;
/** A process that is gone may have received reports for this long after its last `IngestAlive`, by its clock. */
const aliveEveryMs = 20_000;
/** After a longer pause in reading, no process is gone yet: its events may not be read, or not have been written. */
const readPauseMsMax = 5_000;
/** How long a closed session is remembered: events of older sessions may be read this much later. */
const rememberMs = 600_000;

/** The part of a partition that its sessions need. */
export interface SessionPartition {
  readonly number: number;
  readonly role: string;
  /** The next position of the telemetry topic. */
  readonly next: number;
  readonly devices: { get(path: string): Device | undefined };
  readonly progress: Pick<Progress, 'isCurrent'>;
  setIdle(device: Device, state: IdleState): void;
  setOnline(device: Device, connected: ConnectedState): void;
}

export interface DeviceSessionsOptions {
  readonly eventLog: Pick<EventLog, 'endOffsets'>;
  readonly topic: string;
  /** Of the telemetry topic: positions of another one mean nothing. */
  readonly epoch: string;
  readonly partitions: readonly SessionPartition[];
  /** Returns the records of a range of the topic, a few in each turn of the event loop. */
  readonly range: (partition: number, range: ReadRange) => AsyncIterable<readonly LogRecord[]>;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  /** Sessions that are remembered, of all partitions. */
  readonly sessionsMax: number;
}

/** The last session of a device. */
interface KnownSession {
  readonly number: number;
  /** Undefined: it is open, as far as known. */
  readonly closed: ClosedSession | undefined;
  /** The ingest process that has it; '': one that writes no `IngestAlive`. */
  readonly process: string;
  /** Monotonic ms. */
  readonly startedMs: number;
}

interface ClosedSession {
  /** Epoch ms by the clock of the ingest node. */
  readonly atMs: number;
  /** When the device is offline without a newer session, monotonic ms. */
  readonly dueMs: number;
  /** Position of the last report; -1: unknown. */
  readonly lastSeq: number;
}

/** An ingest process, by its last event. */
interface IngestProcess {
  /** When the event was read, monotonic ms. */
  readMs: number;
  /** By the clock of the process, epoch ms. */
  atMs: number;
}

/** The sessions of the devices of one partition. */
class PartitionSessions {
  readonly sessions = new Map<string, KnownSession>();
  /** Devices whose last session has closed, and that may become offline. */
  readonly closing = new Set<string>();
  /** Devices whose session has started, and that may be offline. */
  readonly opening = new Set<string>();
  /** Devices that are offline or online already, oldest first. */
  readonly decided = new Map<string, number>();
  /** The ingest processes that run. */
  readonly alive = new Map<string, IngestProcess>();
  /** When all events were read, monotonic ms. */
  readMs = Number.NEGATIVE_INFINITY;
  /** The next position of the events. */
  next = 0;
  /** Events before it were written before this node had the partition. */
  readonly readBackUntil: number;
  /** Whether all events were read at the last poll: else a newer session may have started. */
  isRead = false;

  constructor(readBackUntil: number) {
    this.readBackUntil = readBackUntil;
  }
}

export interface DeviceSessionCounts {
  /** Events that changed what is known. */
  applied: number;
  /** Events of older sessions, and events that this version does not know. */
  ignored: number;
  /** Records that are no event. */
  invalid: number;
  /** Devices that have become offline because their session has closed. */
  offline: number;
  /** Sessions that count as closed because their ingest process is gone. */
  orphaned: number;
}

/**
 * Determines which devices are offline because their session has closed, in the partitions that this node owns.
 *
 * Ingest writes an event when a session starts and when it closes (`proto/tailrace/v1/event.proto`). The owner waits
 * for the grace time, not ingest: an ingest node that has stopped has no timers. Numbers order the sessions of a
 * device, so the events of an older session change nothing, in whichever order they are read. A device becomes offline
 * behind its last report: the event has its position, and the reports up to it are processed first.
 *
 * A device that is offline is online again when a session of it starts, also without a report.
 *
 * An ingest process that is killed writes no close. It announces that it runs (`IngestAlive`); without that its
 * sessions count as closed. So an open session proves that its device is connected, and keeps it from being offline.
 *
 * The events are read beside the consumer group, every 500 ms. A node that takes over a partition reads them from the
 * first that the log has, and decides nothing before it has read all of them.
 */
export class DeviceSessions {
  readonly counts: DeviceSessionCounts = { applied: 0, ignored: 0, invalid: 0, offline: 0, orphaned: 0 };
  readonly #options: DeviceSessionsOptions;
  readonly #partitions = new Map<number, PartitionSessions>();
  #isPolling = false;

  constructor(options: DeviceSessionsOptions) {
    this.#options = options;
  }

  /** Devices whose last session is remembered. */
  get size(): number {
    let size = 0;
    for (const { sessions } of this.#partitions.values()) size += sessions.size;
    return size;
  }

  /** Devices with an open session. */
  get open(): number {
    let open = 0;
    for (const { sessions } of this.#partitions.values())
      for (const { closed } of sessions.values()) if (closed === undefined) open++;
    return open;
  }

  /** Returns the open session of a device, of a process that runs; undefined while the partition is not read. */
  openOf({ path, partition }: Pick<Device, 'path' | 'partition'>): OpenSession | undefined {
    const known = this.#partitions.get(partition);
    const session = known?.sessions.get(path);
    return session?.closed === undefined && known?.alive.has(session?.process ?? '') ? session : undefined;
  }

  /** Reads new events, and sets devices offline that are due. Called every 500 ms. Never rejects. */
  async poll(): Promise<void> {
    const { partitions } = this.#options;
    for (const { number, role } of partitions) if (role !== 'owned') this.#partitions.delete(number);
    if (this.#isPolling || !partitions.some(({ role }) => role === 'owned')) return;
    this.#isPolling = true;
    try {
      await this.#read();
      this.#decide();
    } catch {
      // The reader of the partitions reports an unavailable log. What is not read now is read at the next poll.
    } finally {
      this.#isPolling = false;
    }
  }

  async #read(): Promise<void> {
    const { eventLog, topic, partitions, range } = this.#options;
    for (const known of this.#partitions.values()) known.isRead = false;
    const endOffsets = await eventLog.endOffsets(topic, waitMs);
    for (const partition of partitions) {
      const end = endOffsets[partition.number];
      if (partition.role !== 'owned' || end === undefined) continue;
      const known = this.#partitions.get(partition.number) ?? new PartitionSessions(end);
      this.#partitions.set(partition.number, known);
      if (known.next >= end) {
        known.isRead = true;
        continue;
      }
      for await (const records of range(partition.number, { from: known.next, until: end })) {
        // Lost, and perhaps gained again, meanwhile.
        if (this.#partitions.get(partition.number) !== known) break;
        for (const record of records) this.#apply(known, record);
      }
      // Also behind records that retention has deleted.
      known.next = Math.max(known.next, end);
      known.isRead = true;
    }
  }

  #apply(known: PartitionSessions, record: LogRecord): void {
    known.next = recordEnd(record);
    if (record.key === '') return;
    const event = eventFrom(record.value);
    if (event === undefined) this.counts.invalid++;
    else if (event.ingestAlive) this.#isAlive(known, event.ingestAlive);
    else if (this.#changes(known, record.key, event)) this.counts.applied++;
    else this.counts.ignored++;
  }

  #isAlive({ alive }: PartitionSessions, { process, atMs }: tailrace.v1.IIngestAlive): void {
    if (process) alive.set(process, { readMs: this.#options.clock.monotonic(), atMs: atMs ?? 0 });
  }

  /** Applies an event. Returns whether it changes what is known. */
  #changes(known: PartitionSessions, device: string, { sessionStarted, sessionClosed }: tailrace.v1.Event): boolean {
    const { sessions, closing, opening, decided } = known;
    const number = (sessionStarted ?? sessionClosed)?.session ?? 0;
    const former = sessions.get(device);
    if (number === 0 || number < (former?.number ?? 0)) return false;
    if (former === undefined && this.size >= this.#options.sessionsMax) return false;
    const isSame = number === former?.number;
    if (sessionStarted) {
      if (isSame) return false;
      this.#isAlive(known, sessionStarted);
      const { process = '', atMs = 0 } = sessionStarted as tailrace.v1.SessionStarted;
      sessions.set(device, { number, closed: undefined, process, startedMs: this.#startedMs(known, atMs) });
      opening.add(device);
      closing.delete(device);
      decided.delete(device);
      return true;
    }
    const closed = this.#closedFrom(sessionClosed!, known);
    // Its will has followed, a report that is no sign of life: the device is offline behind it.
    if (isSame && former?.closed !== undefined && closed.lastSeq <= former.closed.lastSeq) return false;
    sessions.set(device, { number, closed, process: '', startedMs: 0 });
    opening.delete(device);
    closing.add(device);
    decided.delete(device);
    return true;
  }

  #closedFrom(event: tailrace.v1.SessionClosed.$Properties, { next, readBackUntil }: PartitionSessions): ClosedSession {
    const { clock, epoch } = this.#options;
    const atMs = event.atMs ?? 0;
    const graceMs = Math.min(Math.max(event.graceMs ?? 0, 0), graceMsMax);
    // An event that is read now has just been written, whatever the clock of its node. One that is read back was
    // written some time ago.
    const isReadBack = next <= readBackUntil;
    const leftMs = isReadBack ? Math.min(graceMs, Math.max(0, atMs + graceMs - clock.now())) : graceMs;
    const lastSeq = event.epoch === epoch ? (event.lastSeq ?? -1) : -1;
    return { atMs, dueMs: clock.monotonic() + leftMs, lastSeq };
  }

  /** Returns when a session has started. An event that is read now has just been written. */
  #startedMs({ next, readBackUntil }: PartitionSessions, atMs: number): number {
    const { clock } = this.#options;
    return clock.monotonic() - (next <= readBackUntil ? Math.max(0, clock.now() - atMs) : 0);
  }

  #decide(): void {
    const nowMs = this.#options.clock.monotonic();
    for (const partition of this.#options.partitions) {
      const known = this.#partitions.get(partition.number);
      if (known === undefined || partition.role !== 'owned') continue;
      if (!known.isRead || !partition.progress.isCurrent(nowMs)) continue;
      this.#closeOrphaned(known, nowMs);
      this.#setOnline(partition, known);
      for (const device of known.closing) {
        const { closed } = known.sessions.get(device)!;
        if (closed!.dueMs > nowMs || partition.next <= closed!.lastSeq) continue;
        known.closing.delete(device);
        known.decided.set(device, nowMs);
        this.#setOffline(partition, device, closed!, known.sessions.get(device)!.number);
      }
      this.#forget(known, nowMs);
    }
  }

  /** Closes the sessions of processes that are gone. */
  #closeOrphaned(known: PartitionSessions, nowMs: number): void {
    const { alive, sessions, closing } = known;
    const isPaused = nowMs - known.readMs > readPauseMsMax;
    known.readMs = nowMs;
    for (const [process, each] of alive) {
      if (isPaused) each.readMs = nowMs;
      if (nowMs - each.readMs < aliveTimeoutMs) continue;
      alive.delete(process);
      const closed = { atMs: each.atMs + aliveEveryMs, dueMs: nowMs, lastSeq: -1 };
      for (const [device, session] of sessions) {
        if (session.process !== process || session.closed !== undefined) continue;
        sessions.set(device, { ...session, closed });
        closing.add(device);
        this.counts.orphaned++;
      }
    }
  }

  #setOnline(partition: SessionPartition, { opening, sessions, alive }: PartitionSessions): void {
    for (const path of opening) {
      opening.delete(path);
      const { closed, number: session, process } = sessions.get(path)!;
      const device = partition.devices.get(path);
      if (device === undefined || closed !== undefined || !alive.has(process)) continue;
      partition.setOnline(device, { seq: device.lastSeq, session });
    }
  }

  #setOffline(partition: SessionPartition, path: string, { atMs, lastSeq }: ClosedSession, session: number): void {
    const device = partition.devices.get(path);
    // It has never reported, or it has reported since by another way than its session.
    if (device === undefined || (lastSeq >= 0 && device.lastSeq > lastSeq)) return;
    if (lastSeq < 0 && (device.reportInterval?.lastMs ?? 0) > atMs) return;
    partition.setIdle(device, { state: offline, sinceMs: atMs, seq: Math.max(lastSeq, device.lastSeq), session });
    this.counts.offline++;
  }

  #forget({ sessions, decided }: PartitionSessions, nowMs: number): void {
    for (const [device, decidedMs] of decided) {
      if (nowMs - decidedMs < rememberMs) return;
      decided.delete(device);
      sessions.delete(device);
    }
  }
}

function eventFrom(value: Uint8Array): tailrace.v1.Event | undefined {
  try {
    return value.length === 0 ? undefined : Event.decode(value);
  } catch {
    return undefined;
  }
}
