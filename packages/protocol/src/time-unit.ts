/** The probable unit of a time since 1970 that is not in milliseconds. */
export type TimeUnit = 'seconds' | 'microseconds' | 'nanoseconds';

/**
 * Returns the probable unit of a number that should be milliseconds since 1970: seconds from 1e8 (1973) to 1e11 (5138),
 * microseconds from 1e14, nanoseconds from 1e17. Undefined: probably milliseconds. As milliseconds, these ranges are
 * 1970 to 1973, and 5138 and later.
 */
export function mistakenUnitOf(ms: number): TimeUnit | undefined {
  if (ms >= 1e17) return 'nanoseconds';
  if (ms >= 1e14) return 'microseconds';
  return ms >= 1e8 && ms < 1e11 ? 'seconds' : undefined;
}
