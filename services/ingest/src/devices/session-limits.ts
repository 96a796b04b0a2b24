import type { Clock } from '@tailrace/platform/clock';
import { RateLimit } from '@tailrace/platform/rate-limit';
import type { CloseName } from '@tailrace/protocol/close';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { isDevicePath, tenantOf } from '@tailrace/protocol/path';
import type { TokenGrant } from '../admission.ts';
import type { DeviceRates } from '../intake/device-rates.ts';
import { type DeviceBatch, type DeviceMessage, isBatch, type MessageToken } from './device-message.ts';
import type { DeviceCounts, ProtocolCounts } from './device-metrics.ts';
import type { DeviceRecord, DeviceRecords } from './device-record.ts';
import type { ProtocolPort } from './protocol-port.ts';

/** Refusals a second, in multiples of the rate, and for how long: then the device is disconnected. */
const refusalFactor = 10;
const refusalSeconds = 30;
/** Shortest time between two errors about messages of quality 0. */
const droppedEveryMs = 10_000;

export interface SessionLimitOptions {
  readonly records: Pick<DeviceRecords, 'find'>;
  readonly rates: DeviceRates;
  readonly counts: Pick<DeviceCounts, 'rateLimited'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Most bytes that wait for the device. */
  readonly socketBytesMax: number;
}

/** Whose messages are limited. */
export interface LimitedSender {
  readonly device: string;
  readonly record: DeviceRecord;
  readonly grant: TokenGrant;
}

/** Closes a session for a limit that its device does not obey. */
export type Violated = (name: CloseName, error: TailraceError) => void;

/** Refuses messages of a session beyond its rates and rights, and disconnects a device that goes on all the same. */
export class SessionLimits {
  readonly #options: SessionLimitOptions;
  readonly #port: ProtocolPort;
  readonly #counts: ProtocolCounts;
  readonly #violated: Violated;
  readonly #refusals: RateLimit;
  #refusalTat = 0;
  /** Messages of quality 0 that were dropped since the last error about it. */
  #dropped = 0;
  #droppedMs = Number.NEGATIVE_INFINITY;

  constructor(options: SessionLimitOptions, port: ProtocolPort, counts: ProtocolCounts, violated: Violated) {
    this.#options = options;
    this.#port = port;
    this.#counts = counts;
    this.#violated = violated;
    const { perSecond } = options.rates.messages;
    this.#refusals = new RateLimit(refusalFactor * perSecond, refusalFactor * refusalSeconds * perSecond);
  }

  /** Refuses a message beyond a rate, or of a device that its sender does not cover. Returns whether it has. */
  refuses(message: DeviceMessage | DeviceBatch, sender: LimitedSender): boolean {
    const limited = this.#limited(message, sender);
    if (limited === undefined) return this.refusesDevice(message, sender);
    this.delay(message, limited.error(), limited.waitMs);
    return true;
  }

  /** Returns after how many ms a message is within the rates; 0: now, and it is counted. */
  waitMs(message: DeviceMessage | DeviceBatch, sender: LimitedSender): number {
    return this.#limited(message, sender)?.waitMs ?? 0;
  }

  /** Refuses a message of a device that its sender does not cover. Returns whether it has. */
  refusesDevice(message: DeviceMessage | DeviceBatch, { device, grant }: LimitedSender): boolean {
    if (message.device === device || grant.allowsDevice(message.device)) return false;
    this.reject(message, new TailraceError('forbidden', `${shown(message.device)} is not covered: ${grant.covers}`));
    return true;
  }

  /** Refuses a message that is not to be sent again. */
  reject(message: DeviceMessage | DeviceBatch, error: TailraceError): void {
    if (message.qos === 0) this.dropped(error, 1);
    else {
      this.#counts.messages.rejected.add();
      this.#counts.rejected(error.code);
      this.#port.refuse(message.token, error, 0);
    }
    this.check();
  }

  /** Refuses a frame that is no valid message. `token` undefined: it has none. */
  rejectFrame(token: MessageToken | undefined, error: TailraceError): void {
    this.#counts.messages.rejected.add();
    this.#counts.rejected(error.code);
    this.#port.refuse(token, error, 0);
    this.check();
  }

  /** Refuses a message that is to be sent again after a time. */
  delay(message: DeviceMessage | DeviceBatch, error: TailraceError, waitMs: number): void {
    if (message.qos === 0) this.dropped(error, isBatch(message) ? message.count : 1);
    else {
      this.#counts.messages.rate_limited.add();
      this.#port.refuse(message.token, error, Math.ceil(waitMs));
    }
    this.check();
  }

  /** Counts messages of quality 0, which get no answer: the device is notified of them together, at most every 10 s. */
  dropped(error: TailraceError, count: number): void {
    this.#counts.messages.dropped.add(count);
    this.#dropped += count;
    const nowMs = this.#options.clock.monotonic();
    if (nowMs - this.#droppedMs < droppedEveryMs) return;
    const text = `${this.#dropped} messages of qos 0 were dropped; the last one: ${error.message}`;
    this.#droppedMs = nowMs;
    this.#dropped = 0;
    this.#port.refuse(undefined, new TailraceError(error.code, text, { retryable: error.retryable }), 0);
  }

  /**
   * Counts a refusal. Disconnects a device that goes on for half a minute although it is refused at ten times its rate,
   * and one that reads no answers.
   */
  check(): void {
    const tat = this.#refusals.take(this.#refusalTat, this.#options.clock.monotonic());
    if (tat !== undefined) {
      this.#refusalTat = tat;
      this.checkBuffered();
      return;
    }
    const { perSecond } = this.#refusals;
    const text = `expected at most ${perSecond} refused messages a second, got more for ${refusalSeconds} s: obey retryAfterMs`;
    this.#violated('rateExceeded', new TailraceError('rate_limited', text));
  }

  checkBuffered(): void {
    const { socketBytesMax } = this.#options;
    const { bufferedBytes } = this.#port;
    if (bufferedBytes <= socketBytesMax) return;
    const text = `expected at most ${socketBytesMax} bytes that wait for the device, got ${bufferedBytes}`;
    this.#violated('tooSlow', new TailraceError('limit_reached', text));
  }

  /** Counts a message against its rates; returns the one that it exceeds. Then none of its rates has changed. */
  #limited(message: DeviceMessage | DeviceBatch, sender: LimitedSender): Limited | undefined {
    const nowMs = this.#options.clock.monotonic();
    if (isBatch(message)) return this.#limitedBatch(message, sender, nowMs);
    const { rates, records } = this.#options;
    const { isEvent } = message;
    // A device that is not covered costs its sender, and not that device.
    const isCovered = message.device === sender.device || sender.grant.allowsDevice(message.device);
    const device = isCovered ? message.device : sender.device;
    const record = device === sender.device ? sender.record : records.find(device, nowMs);
    const deviceMs = record === undefined ? 0 : rates.deviceWaitMs(record, isEvent, nowMs);
    if (deviceMs > 0) return this.#deviceLimited(device, isEvent, deviceMs);
    const tenantMs = rates.takeTenant(tenantOf(device), isEvent, nowMs);
    if (tenantMs > 0) return this.#tenantLimited(device, tenantMs);
    if (record !== undefined) rates.takeDevice(record, isEvent, nowMs);
    return undefined;
  }

  #limitedBatch(batch: DeviceBatch, sender: LimitedSender, nowMs: number): Limited | undefined {
    const { rates } = this.#options;
    const shares = this.#sharesOf(batch, sender, nowMs);
    for (const { device, record, count } of shares) {
      const deviceMs = record === undefined ? 0 : rates.deviceWaitMs(record, false, nowMs, count);
      if (deviceMs > 0) return this.#deviceLimited(device, false, deviceMs);
    }
    const { device } = shares[0]!;
    const tenantMs = rates.takeTenant(
      tenantOf(device),
      false,
      nowMs,
      Math.min(batch.count, Math.ceil(rates.tenant.burst / 2)),
    );
    if (tenantMs > 0) return this.#tenantLimited(device, tenantMs);
    for (const { record, count } of shares) if (record !== undefined) rates.takeDevice(record, false, nowMs, count);
    return undefined;
  }

  #deviceLimited(device: string, isEvent: boolean, waitMs: number): Limited {
    const { rates, counts } = this.#options;
    counts.rateLimited[isEvent ? 'event' : 'device'].add();
    const limit = isEvent ? rates.events : rates.messages;
    return { waitMs, error: () => rateError(isEvent ? 'events' : 'messages', shown(device), limit) };
  }

  #tenantLimited(device: string, waitMs: number): Limited {
    const { rates, counts } = this.#options;
    counts.rateLimited.tenant.add();
    return { waitMs, error: () => rateError('messages', `tenant ${shown(tenantOf(device))}`, rates.tenant) };
  }

  /**
   * Returns the devices whose rates a batch counts against, at least one. One that is not covered costs its sender, and
   * not that device.
   */
  #sharesOf(batch: DeviceBatch, sender: LimitedSender, nowMs: number): readonly Share[] {
    const devices = batch.devices() ?? new Map([[batch.device, batch.count]]);
    const shares: Share[] = [];
    let ofSender = 0;
    for (const [device, count] of devices) {
      const isCovered = device !== sender.device && isDevicePath(device) && sender.grant.allowsDevice(device);
      if (isCovered) shares.push(this.#shareOf(device, count, sender, nowMs));
      else ofSender += count;
    }
    if (ofSender > 0) shares.push(this.#shareOf(sender.device, ofSender, sender, nowMs));
    return shares;
  }

  #shareOf(device: string, count: number, sender: LimitedSender, nowMs: number): Share {
    const { rates, records } = this.#options;
    const record = device === sender.device ? sender.record : records.find(device, nowMs);
    // More than a burst would never be accepted.
    return { device, record, count: Math.min(count, rates.messages.burst) };
  }
}

/** The messages of a batch that are of one device. */
interface Share {
  readonly device: string;
  /** Undefined: so many devices are remembered that it is not limited. */
  readonly record: DeviceRecord | undefined;
  readonly count: number;
}

/** A rate that a message exceeds. */
interface Limited {
  readonly waitMs: number;
  error(): TailraceError;
}

function rateError(what: string, of: string, { perSecond, burst }: RateLimit): TailraceError {
  const message = `expected at most ${perSecond} ${what} a second of ${of} (burst ${burst}), got more`;
  return new TailraceError('rate_limited', message);
}
