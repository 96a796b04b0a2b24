/** A unit in which a time since 1970 was probably written, where milliseconds were expected. */
export type TimeUnit = 'seconds' | 'microseconds' | 'nanoseconds';

/**
 * Returns the unit that a number of milliseconds since 1970 was probably written in instead: seconds from 1e8 (1973) to
 * 1e11 (5138), microseconds from 1e14, nanoseconds from 1e17. Undefined: milliseconds, as far as the number shows. As
 * milliseconds, the ranges are 1970 to 1973, and 5138 and later.
 */
export function mistakenUnitOf(ms: number): TimeUnit | undefined {
  if (ms >= 1e17) return 'nanoseconds';
  if (ms >= 1e14) return 'microseconds';
  return ms >= 1e8 && ms < 1e11 ? 'seconds' : undefined;
}
