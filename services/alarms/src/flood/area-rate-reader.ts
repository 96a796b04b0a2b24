import { boundsOf, type EventLog, recordEnd } from '@tailrace/eventlog/event-log';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { raisedTag } from './area.ts';
import { AreaRates, type RateReading } from './area-rates.ts';

const pollMs = 1_000;
const warningEveryMs = 60_000;
/** Records taken in one turn of the event loop: about a millisecond. */
const recordsPerTurn = 250;

export interface AreaRateReaderOptions {
  readonly eventLog: Pick<EventLog, 'append' | 'bounds' | 'read'>;
  readonly topics: { readonly telemetry: string; readonly events: string; readonly partitions: number };
  /** Segments of the path of an area, at most. */
  readonly levels: number;
  /** Whether this process reports the rates. */
  readonly isReporter: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Calls once in a later turn of the event loop. */
  readonly defer: (call: () => void) => void;
}

/**
 * Reports the rate of alarms of each area, as readings of a device of the area in the telemetry.
 *
 * The devices of an area are in all partitions, of all nodes. So one process reads all events: the one that evaluates
 * partition 0. It reads what the topic has, a day, when it gets that partition; and polls all of it every second. Two
 * processes that report for a moment report the same.
 */
export class AreaRateReader {
  readonly counts = { readings: 0, failures: 0, refused: 0 };
  readonly #options: AreaRateReaderOptions;
  readonly #warning: LimitedWarning;
  #rates: AreaRates | undefined;
  #next: number[] = [];
  #polling: Promise<void> | undefined;
  #timer: Timer | undefined;
  #isStopped = false;
  #readAtMs: number | undefined;

  constructor(options: AreaRateReaderOptions) {
    this.#options = options;
    const { logger, clock } = options;
    const sentence = 'the rates of alarms cannot be read or reported, retrying';
    this.#warning = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
  }

  /** Undefined: this process does not report. */
  get rates(): AreaRates | undefined {
    return this.#rates;
  }

  /** Since all events were read, ms; 0 if this process does not report. */
  get readAgeMs(): number {
    if (this.#rates === undefined) return 0;
    return this.#options.clock.monotonic() - (this.#readAtMs ?? Number.NEGATIVE_INFINITY);
  }

  start(): void {
    this.#timer = this.#options.clock.every(pollMs, () => void this.poll());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#polling;
  }

  /** Reads and reports, unless that is in progress. Never rejects. */
  poll(): Promise<void> {
    this.#polling ??= this.#poll().finally(() => {
      this.#polling = undefined;
    });
    return this.#polling;
  }

  async #poll(): Promise<void> {
    const { isReporter, levels, clock } = this.#options;
    if (!isReporter()) {
      this.#rates = undefined;
      return;
    }
    try {
      if (this.#rates === undefined) {
        this.#rates = new AreaRates(levels, this.counts);
        this.#next = [];
        this.#readAtMs = clock.monotonic();
      }
      const rates = this.#rates;
      if (!(await this.#read(rates))) return;
      this.#readAtMs = clock.monotonic();
      const readings = rates.due(clock.now());
      if (readings.length > 0) await this.#report(rates, readings);
    } catch (error) {
      this.counts.failures++;
      if (!this.#isStopped) this.#warning.write(() => ({ error }));
    }
  }

  /** Resolves with whether all events up to now are read. */
  async #read(rates: AreaRates): Promise<boolean> {
    const { eventLog, topics, defer } = this.#options;
    const bounds = await eventLog.bounds(topics.events);
    for (let partition = 0; partition < topics.partitions; partition++) {
      const { first, next: until } = boundsOf(bounds, partition);
      const known = this.#next[partition] ?? first;
      // A topic that was re-created has other records at the same positions.
      const from = known > until ? first : Math.max(first, known);
      if (from >= until) continue;
      for await (const batch of eventLog.read(topics.events, partition, { from, until })) {
        for (let at = 0; at < batch.length; at += recordsPerTurn) {
          if (this.#isStopped) return false;
          for (const { seq, value, timeMs, unreadable, emptyUntil } of batch.slice(at, at + recordsPerTurn))
            if (unreadable === undefined && emptyUntil === undefined) rates.take(partition, seq, value, timeMs);
          if (batch.length > recordsPerTurn) await new Promise<void>((resolve) => defer(resolve));
        }
        this.#next[partition] = recordEnd(batch.at(-1)!);
      }
      this.#next[partition] = until;
    }
    return true;
  }

  async #report(rates: AreaRates, readings: readonly RateReading[]): Promise<void> {
    const { eventLog, topics, clock } = this.#options;
    const time = clock.now();
    const records = readings.map(({ device, raised }) => {
      const report = { device, time, readings: [{ tag: raisedTag, value: raised }] };
      return { key: device, value: encodeReport(report, time) };
    });
    await eventLog.append(topics.telemetry, records);
    this.counts.readings += records.length;
    rates.reported(readings);
  }
}
