import type { NewRecord, Position } from '@tailrace/eventlog/event-log';
import type { MemoryEventLog } from '@tailrace/eventlog/memory';
import { idExpiryMs } from '@tailrace/fanout/ownership/recent-ids';
import type { Report } from '@tailrace/protocol/report';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { topic } from '../../services/fanout/test/fanout-options.ts';
import { unreadableHeaders } from '../../services/fanout/test/unreadable-records.ts';
import type { Chance } from './chance.ts';
import type { Appended, Checker } from './checker.ts';
import { limits } from './limits.ts';
import type { Scheduler } from './scheduler.ts';

/** Share of lost responses. */
const answerLoss = 0.05;
/** Share of records that become unreadable. */
const damaged = 0.003;
const retryMs = { min: 20, max: 400 };
/** Share of retries that come much later, as from a gateway that had no network. */
const lateShare = 0.1;
/** Within the window of message IDs, or after it in any case. */
const lateMs = [
  { min: 500, max: limits.idWindowMs - 100 },
  { min: idExpiryMs(limits.idWindowMs) + 100, max: limits.idWindowMs * 1.5 },
] as const;

/**
 * Each device sends every 17th report late, and every 41st with a clock that is ahead. By its counter, not at random.
 */
const lateEvery = 17;
const aheadEvery = 41;
const wrongMs = 60_000;

/** Devices that report, and append to the log. Without a response they retry with the same ID. */
export class Load {
  readonly devices: readonly string[];
  /** Factor of the usual number of reports. */
  surge = 1;
  readonly #everyMs: number;
  /** Number of reports sent, retries not counted. */
  sent = 0;
  readonly #eventLog: MemoryEventLog;
  readonly #scheduler: Scheduler;
  readonly #chance: Chance;
  readonly #damage: Chance;
  readonly #checker: Checker;
  readonly #lasts = new Map<string, number>();
  /** Position of the first append of each report. */
  readonly #firsts = new Map<string, Position>();
  readonly #duplicates: { readonly partition: number; readonly first: number; readonly again: number }[] = [];
  /** Some devices report often, most rarely. */
  readonly #weights: readonly string[];
  /** A reading that makes reports large. */
  readonly #padding: readonly { readonly tag: string; readonly value: string }[];
  #running = false;

  constructor(parts: {
    devices: readonly string[];
    /** Mean time between two reports of all devices together, ms. */
    everyMs: number;
    eventLog: MemoryEventLog;
    scheduler: Scheduler;
    chance: Chance;
    /** Selects the records that become unreadable. */
    damage: Chance;
    checker: Checker;
  }) {
    this.devices = parts.devices;
    this.#everyMs = parts.everyMs;
    this.#eventLog = parts.eventLog;
    this.#scheduler = parts.scheduler;
    this.#chance = parts.chance;
    this.#damage = parts.damage;
    this.#checker = parts.checker;
    const large = this.#chance.happens(0.3) ? this.#chance.whole(200, 1_500) : 0;
    this.#padding = large === 0 ? [] : [{ tag: 'text', value: 'x'.repeat(large) }];
    this.#weights = parts.devices.flatMap((device, i) => new Array<string>(i % 4 === 0 ? 6 : 1).fill(device));
  }

  start(): void {
    this.#running = true;
    this.#next();
  }

  stop(): void {
    this.#running = false;
  }

  /** Sends one report of each device. */
  all(): void {
    for (const device of this.devices) this.#report(device);
  }

  #next(): void {
    if (!this.#running) return;
    // Sometimes a burst.
    const burst = this.#chance.happens(0.02) ? this.#chance.whole(5, 30) : 1;
    for (let i = 0; i < burst; i++) this.#report(this.#chance.pick(this.#weights));
    this.#scheduler.at(this.#chance.between(0, (2 * this.#everyMs) / this.surge), () => this.#next());
  }

  #report(device: string): void {
    const value = (this.#lasts.get(device) ?? 0) + 1;
    this.#lasts.set(device, value);
    const readings = [{ tag: 'n', value }, ...this.#padding];
    const received = this.#scheduler.clock.now();
    const isAhead = value % aheadEvery === 0;
    const lateMs = value % lateEvery === 0 ? (value * 7_919) % wrongMs : 0;
    const time = isAhead ? received + wrongMs * value : received - lateMs;
    const report: Report = { device, id: `${value}`, time, readings, received, ...(isAhead && { clock: 'ahead' }) };
    this.sent++;
    const isUnreadable = this.#damage.happens(damaged);
    const record = { key: device, value: encodeReport(report), ...(isUnreadable && { headers: unreadableHeaders }) };
    void this.#append({ device, value, effectiveMs: isAhead ? received : time, isUnreadable }, record);
  }

  /**
   * Returns the first position that retention keeps, at or before `seq`. Real retention is far longer than retries: it
   * never removes a record and keeps its duplicate, which no reader could recognize.
   */
  retentionStart(partition: number, seq: number): number {
    const torn = this.#duplicates.find((each) => each.partition === partition && each.first < seq && each.again >= seq);
    return torn === undefined ? seq : this.retentionStart(partition, torn.first);
  }

  #note(report: string, { partition, seq }: Position): void {
    const first = this.#firsts.get(report);
    if (first === undefined) this.#firsts.set(report, { partition, seq });
    else this.#duplicates.push({ partition, first: first.seq, again: seq });
  }

  async #append(sent: Omit<Appended, 'partition' | 'seq'>, record: NewRecord): Promise<void> {
    const { device, value } = sent;
    try {
      const [position] = await this.#eventLog.append(topic, [record]);
      this.#checker.appended({ ...sent, ...position! });
      this.#note(`${device} ${value}`, position!);
      if (!this.#running || !this.#chance.happens(answerLoss)) return;
    } catch {
      // Not appended: the log is unavailable.
    }
    const span = this.#chance.happens(lateShare) ? this.#chance.pick(lateMs) : retryMs;
    this.#scheduler.at(this.#chance.between(span.min, span.max), () => void this.#append(sent, record));
  }
}
