import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';

/** Shortest time between two warnings of a kind, ms. */
const repeatMs = 30_000;

/**
 * Logs warnings of errors that repeat many times a second. Each kind is logged at once, then at most every 30 s with
 * the number of suppressed warnings.
 */
export function createThrottledWarnings(
  logger: Logger,
  clock: Clock,
): (kind: string, facts: object, message: string) => void {
  const sent = new Map<string, { atMs: number; suppressed: number }>();
  return (kind, facts, message) => {
    const last = sent.get(kind);
    const nowMs = clock.monotonic();
    if (last !== undefined && nowMs - last.atMs < repeatMs) {
      last.suppressed++;
      return;
    }
    logger.warn(last === undefined || last.suppressed === 0 ? facts : { ...facts, suppressed: last.suppressed }, message);
    sent.set(kind, { atMs: nowMs, suppressed: 0 });
  };
}
