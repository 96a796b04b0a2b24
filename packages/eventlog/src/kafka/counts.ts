import { Counter, delayBoundsSeconds, Histogram } from '@tailrace/platform/measures';
import type { UnreadableReason } from '../event-log.ts';

/**
 * What one event log asks of the brokers, and how they answer. A metric may put its own histograms in the place of
 * these.
 */
export class KafkaCounts {
  /** Of Produce: until the broker has answered or failed to. */
  produceSeconds = new Histogram(delayBoundsSeconds);
  /** Of Fetch: with what the broker holds it back until there is something. */
  fetchSeconds = new Histogram(delayBoundsSeconds);
  failedFetches = 0;
  /** Batches that could not be read, each time that they were met. */
  unreadable: Readonly<Record<UnreadableReason, Counter>> = {
    codec: new Counter(),
    checksum: new Counter(),
    too_large: new Counter(),
    malformed: new Counter(),
  };
  /** How long the brokers held answers back because of a quota of theirs. */
  throttleMs = 0;
  /** Times a member has joined its group: the first time, and at each change of it. */
  joins = 0;
  /** Times that a member whose reading stood still created its connections again. */
  reconnects = 0;
}
