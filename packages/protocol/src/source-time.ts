import { shown, TailraceError } from './error.ts';
import { mistakenUnitOf } from './time-unit.ts';

/**
 * What ingest knows of the clock behind a report's times; absent: they are the device's.
 * - `ahead`: a time of the report is further ahead of ingest's clock than ingest tolerates (`clockAheadMs`).
 * - `ingest`: the report came without a time, and `time` is ingest's clock.
 */
export type ReportClock = 'ahead' | 'ingest';

/** No ingest lets a time pass unmarked that is further ahead of its clock, whatever its settings; 24 h. */
export const clockAheadMsMax = 86_400_000;

/** The parts of a report that say when its readings were taken. */
export interface ReportTimes {
  readonly time: number;
  readonly clock?: ReportClock;
  readonly received?: number;
}

/**
 * The time by which the last value of a tag is chosen, epoch ms: the reading's own time, else the report's. Of equal
 * times the later position wins.
 *
 * In a report marked `ahead` a time after `received` counts as `received`: the report is ordered by receipt, and wins
 * no longer than until the next one. So does a time that no ingest would have left unmarked, in a record of another
 * writer or of an older version.
 */
export function effectiveTime({ time, clock, received = 0 }: ReportTimes, readingTime: number | undefined): number {
  return effectiveTimeOf(readingTime ?? time, clock === 'ahead', received);
}

/** The same without an object to look into. `received` 0: not known, and nothing to order by but the time. */
export function effectiveTimeOf(time: number, isAhead: boolean, received: number): number {
  if (received === 0 || time <= received) return time;
  return isAhead || time - received > clockAheadMsMax ? received : time;
}

/** Below this a number of milliseconds lies before March 1973, from the other on after the year 5138. */
const timeMsMin = 1e11;
const timeMsBelow = 1e14;

/**
 * A time as a sender may write it. Every moment from 1973 to 5138 in milliseconds passes; present times in seconds,
 * microseconds and nanoseconds lie outside, and the error names the unit. Throws `invalid_report`.
 */
export function assertSourceTime(value: unknown, name: string): asserts value is number {
  if (isSourceTime(value)) return;
  throw new TailraceError('invalid_report', `${name}: expected milliseconds since 1970, got ${sourceTimeFault(value)}`);
}

/** Whether `assertSourceTime` passes the value: for where the name of the time is not made before it is needed. */
export function isSourceTime(value: unknown): value is number {
  return typeof value === 'number' && value >= timeMsMin && value < timeMsBelow;
}

function sourceTimeFault(value: unknown): string {
  if (typeof value !== 'number') return shown(value);
  if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) return String(value);
  const unit = mistakenUnitOf(value);
  const advice = unit === undefined ? 'a device without a clock leaves it out' : `it looks like ${unit}`;
  return `${value}, which would be ${dayOf(value)}; ${advice}`;
}

/** The day of a time, `1970-01-19`; of those that have more than four digits for the year, the year. */
function dayOf(timeMs: number): string {
  const yearsMs = 31_556_952_000;
  if (timeMs >= 8_000 * yearsMs) return `the year ${Math.floor(1970 + timeMs / yearsMs)}`;
  return new Date(timeMs).toISOString().slice(0, 10);
}
