import { Counter, delayBoundsSeconds, Histogram } from '@tailrace/platform/measures';
import type { UnreadableReason } from '../event-log.ts';

/** Counters of an event log's requests to the brokers. Metrics replace the histograms by their own. */
export class KafkaCounts {
  /** Duration of Produce requests. */
  produceSeconds = new Histogram(delayBoundsSeconds);
  /** Duration of Fetch requests, including the time for which the broker waits for records. */
  fetchSeconds = new Histogram(delayBoundsSeconds);
  failedFetches = 0;
  /** Unreadable batches, at each read. */
  unreadable: Readonly<Record<UnreadableReason, Counter>> = {
    codec: new Counter(),
    checksum: new Counter(),
    too_large: new Counter(),
    malformed: new Counter(),
  };
  /** Time for which brokers have throttled this client because of a quota. */
  throttleMs = 0;
  /** Joins of members: the first one, and one at each rebalance. */
  joins = 0;
  /** Reconnects of members whose reading had stalled. */
  reconnects = 0;
}
