import type { Clock } from '@tailrace/platform/clock';
import { messageIdWindowMs } from '@tailrace/protocol/message-id';
import type { LoggedIds, LogLookback } from '../devices/log-lookback.ts';
import { ReportIds } from '../devices/report-ids.ts';

/** Two generations of this time: an ID is known for one to two minutes, and never longer than it has to be unique. */
const generationMs = messageIdWindowMs / 2;
/** IDs of a generation: 1 MiB. Above them the older generation is forgotten sooner. */
const generationMax = 90_000;
/** IDs that a bridge knows, at most. */
export const recentIdsMax = 2 * generationMax;

/**
 * The reports of a bridge that the log has, by device and message ID. A broker sends again what was not acknowledged,
 * and one that was killed may also send what was. The IDs of this process are known for one to two minutes; those of
 * the process before, if it was killed, are read back from the log at the start.
 *
 * IDs of reports that the log has not settled are not known: the connection knows those by their packet identifier.
 */
export class LoggedReports {
  readonly #lookback: Pick<LogLookback, 'isSuspect' | 'idsOfAll'>;
  readonly #clock: Pick<Clock, 'monotonic'>;
  #recent = new ReportIds();
  #older = new ReportIds();
  /** Of `#recent`, monotonic ms. */
  #startMs: number;
  #before: LoggedIds | undefined;

  constructor(lookback: Pick<LogLookback, 'isSuspect' | 'idsOfAll'>, clock: Pick<Clock, 'monotonic'>) {
    this.#lookback = lookback;
    this.#clock = clock;
    this.#startMs = clock.monotonic();
  }

  /** IDs of this process. */
  get size(): number {
    return this.#recent.size + this.#older.size;
  }

  /** Reads back what a killed process may have left; undefined if that is not needed. Never rejects. */
  readBack(): Promise<void> | undefined {
    if (!this.#lookback.isSuspect) return undefined;
    return this.#lookback.idsOfAll().then((found) => {
      this.#before = found;
    });
  }

  has(device: string, id: string): boolean {
    this.#forget();
    if (this.#recent.has(device, id) || this.#older.has(device, id)) return true;
    return this.#before?.has(device, id) === true;
  }

  /** The log has a report. */
  add(device: string, id: string): void {
    this.#forget();
    if (this.#recent.size >= generationMax) this.#nextGeneration(this.#clock.monotonic());
    this.#recent.add(device, id);
  }

  #forget(): void {
    const nowMs = this.#clock.monotonic();
    if (this.#before !== undefined && nowMs >= this.#before.untilMs) this.#before = undefined;
    const ageMs = nowMs - this.#startMs;
    if (ageMs < generationMs) return;
    this.#nextGeneration(this.#startMs + generationMs);
    if (ageMs >= messageIdWindowMs) this.#nextGeneration(nowMs);
  }

  #nextGeneration(startMs: number): void {
    this.#older = this.#recent;
    this.#recent = new ReportIds();
    this.#startMs = startMs;
  }
}
