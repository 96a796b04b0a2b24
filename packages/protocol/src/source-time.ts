import { shown, TailraceError } from './error.ts';
import { mistakenUnitOf } from './time-unit.ts';

/**
 * Ingest's assessment of a report's times; absent: they are the device's.
 * - `ahead`: a time of the report is more than `clockAheadMs` ahead of ingest's clock.
 * - `ingest`: the report came without a time, and `time` is ingest's clock.
 */
export type ReportClock = 'ahead' | 'ingest';

/** Upper bound of ingest's setting `clockAheadMs`: 24 h. */
export const clockAheadMsMax = 86_400_000;

/** The fields of a report that determine when its readings were taken. */
export interface ReportTimes {
  readonly time: number;
  readonly clock?: ReportClock;
  readonly received?: number;
}

/**
 * Returns the time by which the last value of a tag is chosen, epoch ms: the reading's own time, else the report's. Of
 * equal times the later position wins.
 *
 * In a report with `clock: 'ahead'` a time after `received` counts as `received`, so that the report wins only until
 * the next one. So does a time more than `clockAheadMsMax` ahead in a record of another writer or an older version.
 */
export function effectiveTime({ time, clock, received = 0 }: ReportTimes, readingTime: number | undefined): number {
  return effectiveTimeOf(readingTime ?? time, clock === 'ahead', received);
}

/** `effectiveTime` without objects. `received` 0: unknown, so that only the time counts. */
export function effectiveTimeOf(time: number, isAhead: boolean, received: number): number {
  if (received === 0 || time <= received) return time;
  return isAhead || time - received > clockAheadMsMax ? received : time;
}

/** March 1973, and the year 5138. */
const timeMsMin = 1e11;
const timeMsBelow = 1e14;

/**
 * Asserts a sender's time, in milliseconds from 1973 to 5138. Current times in seconds, microseconds and nanoseconds
 * are outside of this range, and the error names the unit. Throws `invalid_report`.
 */
export function assertSourceTime(value: unknown, name: string): asserts value is number {
  if (isSourceTime(value)) return;
  throw new TailraceError('invalid_report', `${name}: expected milliseconds since 1970, got ${sourceTimeText(value)}`);
}

/** Returns whether `assertSourceTime` accepts the value, for callers that build the name only for an error. */
export function isSourceTime(value: unknown): value is number {
  return typeof value === 'number' && value >= timeMsMin && value < timeMsBelow;
}

function sourceTimeText(value: unknown): string {
  if (typeof value !== 'number') return shown(value);
  if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) return String(value);
  const unit = mistakenUnitOf(value);
  const advice = unit === undefined ? 'a device without a clock leaves it out' : `probably in ${unit}`;
  return `${value}, which would be ${dayOf(value)}; ${advice}`;
}

/** Returns the day of a time, as in `1970-01-19`; from the year 9970 on, the year. */
function dayOf(timeMs: number): string {
  const yearsMs = 31_556_952_000;
  if (timeMs >= 8_000 * yearsMs) return `the year ${Math.floor(1970 + timeMs / yearsMs)}`;
  return new Date(timeMs).toISOString().slice(0, 10);
}
