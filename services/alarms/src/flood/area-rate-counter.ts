import { boundsOf, type EventLog, type NewRecord, recordEnd } from '@tailrace/eventlog/event-log';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { tailrace } from '@tailrace/protocol/generated';
import { floodLimits } from '@tailrace/rules/flood-limits';
import { AreaRates } from './area-rates.ts';

const { Event } = tailrace.v1;

const pollMs = 1_000;
const warningEveryMs = 60_000;
/** Records taken in one turn of the event loop: about a millisecond. */
const recordsPerTurn = 250;
/** Rates that are written in a poll; the others wait. */
export const ratesPerPollMax = 1_000;
/** By which the clocks of the writers of events may be behind. */
const clockSkewMs = 60_000;

export interface AreaRateCounterOptions {
  readonly eventLog: Pick<EventLog, 'append' | 'bounds' | 'positionsAt' | 'read'>;
  readonly topic: string;
  /** By partition: the key of its own records, see `partitionKeys`. */
  readonly keys: readonly string[];
  /** Segments of the path of an area, at most. */
  readonly levels: number;
  /** Returns the position of the `AlarmOwner` of this process in partition 0; undefined: another process has it. */
  readonly ownerOf0: () => number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Calls once in a later turn of the event loop. */
  readonly defer: (call: () => void) => void;
}

/**
 * Counts the alarms of each area, and writes the rates to the events, as `AlarmRate`.
 *
 * The devices of an area are in all partitions, of all nodes. So one process reads all events: the one that evaluates
 * partition 0. When it gets that partition it reads the last 10 minutes, and afterwards what is new, every second. The
 * partition that has the flood of an area evaluates its rate: it decides, and this process only counts. It loses
 * nothing when it stops: another one counts again.
 */
export class AreaRateCounter {
  readonly counts = { written: 0, failures: 0, refused: 0 };
  readonly #options: AreaRateCounterOptions;
  readonly #warning: LimitedWarning;
  #rates: AreaRates | undefined;
  /** For which `#rates` are counted; undefined: the start is not known yet. */
  #owner: number | undefined;
  /** By partition: everything before was read. */
  #next: number[] = [];
  /** By partition: where its end was before this process has written a rate. */
  #since: readonly number[] = [];
  #polling: Promise<void> | undefined;
  #timer: Timer | undefined;
  #isStopped = false;
  #readAtMs = 0;

  constructor(options: AreaRateCounterOptions) {
    this.#options = options;
    const { logger, clock } = options;
    const sentence = 'the rates of alarms cannot be read or written, retrying';
    this.#warning = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
  }

  /** Undefined: this process does not count. */
  get rates(): AreaRates | undefined {
    return this.#rates;
  }

  /** Since all events were read, ms; 0 if this process does not count. */
  get readAgeMs(): number {
    return this.#rates === undefined ? 0 : this.#options.clock.monotonic() - this.#readAtMs;
  }

  start(): void {
    this.#timer = this.#options.clock.every(pollMs, () => void this.poll());
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** Reads and writes, unless that is in progress. Never rejects. */
  poll(): Promise<void> {
    this.#polling ??= this.#poll().finally(() => {
      this.#polling = undefined;
    });
    return this.#polling;
  }

  async #poll(): Promise<void> {
    const { ownerOf0, clock } = this.#options;
    const owner = ownerOf0();
    if (owner === undefined) {
      this.#rates = undefined;
      return;
    }
    try {
      if (this.#rates === undefined || this.#owner !== owner) await this.#restart(owner);
      const rates = this.#rates!;
      const read = await this.#read(rates);
      if (read === undefined) return;
      if (this.#since.length === 0) this.#since = read;
      this.#readAtMs = clock.monotonic();
      await this.#write(rates);
    } catch (error) {
      this.counts.failures++;
      if (!this.#isStopped) this.#warning.write(() => ({ error }));
    }
  }

  async #restart(owner: number): Promise<void> {
    const { eventLog, topic, levels, clock } = this.#options;
    if (this.#rates === undefined) this.#readAtMs = clock.monotonic();
    this.#rates = new AreaRates(levels, owner, this.counts);
    this.#owner = undefined;
    this.#since = [];
    this.#next = [...(await eventLog.positionsAt(topic, clock.now() - floodLimits.windowMs - clockSkewMs))];
    this.#owner = owner;
  }

  /** Resolves with the positions up to which the partitions are read; undefined if the process stops meanwhile. */
  async #read(rates: AreaRates): Promise<readonly number[] | undefined> {
    const { eventLog, topic, keys, defer } = this.#options;
    const bounds = await eventLog.bounds(topic);
    const read: number[] = [];
    for (let partition = 0; partition < keys.length; partition++) {
      const { first, next: until } = boundsOf(bounds, partition);
      read.push(until);
      const known = this.#next[partition] ?? first;
      // A topic that was re-created has other records at the same positions.
      const from = known > until ? first : Math.max(first, known);
      if (from >= until) continue;
      for await (const batch of eventLog.read(topic, partition, { from, until })) {
        for (let at = 0; at < batch.length; at += recordsPerTurn) {
          if (this.#isStopped) return undefined;
          for (const { seq, value, timeMs, unreadable, emptyUntil } of batch.slice(at, at + recordsPerTurn))
            if (unreadable === undefined && emptyUntil === undefined) rates.take(partition, seq, value, timeMs);
          if (batch.length > recordsPerTurn) await new Promise<void>((resolve) => defer(resolve));
        }
        this.#next[partition] = recordEnd(batch.at(-1)!);
      }
      this.#next[partition] = until;
    }
    return read;
  }

  async #write(rates: AreaRates): Promise<void> {
    const { eventLog, topic, keys, ownerOf0, clock } = this.#options;
    // To read has taken time: another process may have partition 0.
    if (ownerOf0() !== this.#owner) return;
    const time = clock.now();
    const due = rates.due(time, ratesPerPollMax);
    const records = due.map(({ device, raised }) => this.#record(device, { device, raised, time }));
    // The others follow with the next poll.
    const isLast = !rates.isComplete && due.length < ratesPerPollMax;
    if (isLast) records.push(...keys.map((key, n) => this.#record(key, { time, since: this.#since[n]! })));
    if (records.length === 0) return;
    await eventLog.append(topic, records);
    this.counts.written += records.length;
    rates.written(due);
    rates.isComplete ||= isLast;
  }

  #record(key: string, rate: tailrace.v1.IAlarmRate): NewRecord {
    return { key, value: Event.encode({ alarmRate: { ...rate, counter: this.#owner! } }).finish() };
  }
}
