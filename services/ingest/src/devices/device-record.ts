import type { TailraceError } from '@tailrace/protocol/error';
import type { MessageToken } from './device-message.ts';
import { IdRing } from './id-ring.ts';
import type { LoggedIds } from './log-lookback.ts';
import type { BatchOutcome, RefusedRecord } from './protocol-port.ts';

/** A message or batch that the log has not settled, under its message ID. */
export interface PendingMessage {
  /** The session that has to be answered; undefined if it was answered, or is to get no answer. */
  waiter: PendingWaiter | undefined;
  /** Of the last time that the device has sent it. */
  ackToken: MessageToken;
}

/** A session that waits for the answer to a message. The log settles it for the session that has sent it first. */
export interface PendingWaiter {
  acknowledge(token: MessageToken, outcome: 'accepted' | 'duplicate'): void;
  refuse(token: MessageToken, error: TailraceError, record?: RefusedRecord): void;
  acknowledgeBatch(token: MessageToken, outcome: BatchOutcome): void;
  flushAcks(): void;
}

/** What of a device is in the log, as its former node or the log itself has it. */
export interface LoggedDevice {
  /** As `IdRing.hashes` returns them. */
  readonly recentIds?: BigUint64Array;
  /** Position of its last report. */
  readonly lastSeq?: number;
  readonly logged?: LoggedIds | undefined;
}

/** What this process knows of a device, over its sessions. */
export class DeviceRecord {
  readonly path: string;
  /** By message ID. At most the window of its sessions. */
  readonly pending = new Map<string, PendingMessage>();
  /** The last message IDs that are in the log; undefined before the first. */
  recent: IdRing | undefined;
  /** Messages that the log has not settled. */
  unsettled = 0;
  /** Message IDs that were read back from the log; undefined in general. */
  logged: LoggedIds | undefined;
  /** Until it is known what of the device is in the log, no message of it is taken. */
  arriving: Promise<void> | undefined;
  /** Whether the last session of the device was on this node, so that all its message IDs are known here. */
  isCurrent = false;
  /** The position of its last confirmed report; -1 for none. */
  lastSeq = -1;
  /** States of its rate limits, see `RateLimit`. */
  statusTat = 0;
  eventTat = 0;
  /** Sessions that are open. */
  sessions = 0;
  /** When the last session was opened or closed, or it was created, monotonic ms. */
  usedMs: number;

  constructor(path: string, nowMs: number) {
    this.path = path;
    this.usedMs = nowMs;
  }
}

export interface DeviceRecordLimits {
  /** Message IDs that are remembered of one device. */
  readonly recentIds: number;
  readonly recentIdBytesMax: number;
}

/** Most devices without a session: their rates are limited, and their recent IDs known. */
export const idleRecordsMax = 200_000;
/** How long a device is remembered after its last session. */
const rememberMs = 3_600_000;
/** Records that one `sweep` checks. */
const sweepMax = 2_000;

/**
 * The devices of this process. Bounded: a device without a session is forgotten an hour after the last one, and one
 * that only a gateway has named as soon as its rate limits have recovered. At `recentIdBytesMax` the IDs of the device
 * whose session is longest ago are forgotten: a message of it that is sent again may be in the log twice, and is
 * delivered once.
 */
export class DeviceRecords {
  recentIdBytes = 0;
  readonly #limits: DeviceRecordLimits;
  readonly #records = new Map<string, DeviceRecord>();
  /** Records with recent IDs, the one used longest ago first. */
  readonly #withRecent = new Set<DeviceRecord>();
  #sweeping: MapIterator<DeviceRecord>;

  constructor(limits: DeviceRecordLimits) {
    this.#limits = limits;
    this.#sweeping = this.#records.values();
  }

  get size(): number {
    return this.#records.size;
  }

  /** Returns the record of a device that gets a session. */
  enter(path: string, nowMs: number): DeviceRecord {
    const record = this.#records.get(path) ?? this.#add(path, nowMs);
    record.sessions++;
    record.usedMs = nowMs;
    if (this.#withRecent.delete(record)) this.#withRecent.add(record);
    return record;
  }

  leave(record: DeviceRecord, nowMs: number): void {
    record.sessions--;
    record.usedMs = nowMs;
  }

  /** Returns the record of a device behind a gateway; undefined at the limit, where its own rate is not limited. */
  find(path: string, nowMs: number): DeviceRecord | undefined {
    const known = this.#records.get(path);
    if (known !== undefined || this.#records.size >= idleRecordsMax) return known;
    return this.#add(path, nowMs);
  }

  /** Returns the record of a device that is known. */
  peek(path: string): DeviceRecord | undefined {
    return this.#records.get(path);
  }

  /** Remembers that the message with the ID is in the log. */
  remember(record: DeviceRecord, id: string): void {
    this.#recentOf(record).add(id);
  }

  /** Adds what another node remembers, as `IdRing.hashes` returns it. */
  seed(record: DeviceRecord, hashes: BigUint64Array): void {
    if (hashes.length > 0) this.#recentOf(record).seed(hashes);
  }

  /** Adds what another node or the log has of the device, when it arrives: until then `record.arriving` is set. */
  arrive(record: DeviceRecord, rest: Promise<LoggedDevice>): void {
    const arriving = rest.then(({ recentIds, lastSeq, logged }) => {
      if (recentIds !== undefined) this.seed(record, recentIds);
      record.lastSeq = Math.max(record.lastSeq, lastSeq ?? -1);
      record.logged = logged ?? record.logged;
      if (record.arriving === arriving) record.arriving = undefined;
    });
    record.arriving = arriving;
  }

  /** Forgets records that are not needed. Called every second; each call checks a part of them. */
  sweep(nowMs: number): void {
    for (let count = 0; count < sweepMax; count++) {
      const { value: record, done } = this.#sweeping.next();
      if (done) {
        this.#sweeping = this.#records.values();
        return;
      }
      if (record.logged !== undefined && nowMs >= record.logged.untilMs) record.logged = undefined;
      if (record.sessions > 0 || record.unsettled > 0) continue;
      const isLimited = record.statusTat > nowMs || record.eventTat > nowMs;
      if (isLimited || (record.recent !== undefined && nowMs - record.usedMs < rememberMs)) continue;
      this.#records.delete(record.path);
      this.#forgetRecent(record);
    }
  }

  #add(path: string, nowMs: number): DeviceRecord {
    const record = new DeviceRecord(path, nowMs);
    this.#records.set(path, record);
    return record;
  }

  #recentOf(record: DeviceRecord): IdRing {
    if (record.recent !== undefined) return record.recent;
    const created = new IdRing(this.#limits.recentIds);
    record.recent = created;
    this.recentIdBytes += created.bytes;
    this.#withRecent.add(record);
    while (this.recentIdBytes > this.#limits.recentIdBytesMax && this.#withRecent.size > 1) this.#forgetOldest();
    return created;
  }

  #forgetOldest(): void {
    for (const record of this.#withRecent) {
      this.#forgetRecent(record);
      return;
    }
  }

  #forgetRecent(record: DeviceRecord): void {
    if (!this.#withRecent.delete(record)) return;
    this.recentIdBytes -= record.recent!.bytes;
    record.recent = undefined;
  }
}
