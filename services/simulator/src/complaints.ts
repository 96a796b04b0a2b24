import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';

/** The same complaint is repeated at most this often, ms. */
const quietMs = 30_000;

/**
 * Warnings of things that go wrong many times a second while they go wrong: each kind is said at once, and then once every 30 s with the number
 * of times that it was not said.
 */
export function createComplaints(
  logger: Logger,
  clock: Clock,
): (kind: string, facts: object, sentence: string) => void {
  const said = new Map<string, { atMs: number; unsaid: number }>();
  return (kind, facts, sentence) => {
    const last = said.get(kind);
    const nowMs = clock.monotonic();
    if (last !== undefined && nowMs - last.atMs < quietMs) {
      last.unsaid++;
      return;
    }
    logger.warn(last === undefined || last.unsaid === 0 ? facts : { ...facts, unsaid: last.unsaid }, sentence);
    said.set(kind, { atMs: nowMs, unsaid: 0 });
  };
}
