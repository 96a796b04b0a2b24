import { delayBoundsSeconds } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import { unreadableReasons } from '../event-log.ts';
import type { KafkaEventLog } from '../kafka.ts';

/** Registers the metrics of a service's connection to Kafka: its queues, their limits, and errors. */
export function registerKafkaMetrics(metrics: Metrics, eventLog: Pick<KafkaEventLog, 'stats' | 'counts'>): void {
  const name = (rest: string) => `tailrace_${metrics.service}_kafka_${rest}`;
  const stats = () => eventLog.stats();
  const { counts } = eventLog;
  metrics.gauge(name('pending_bytes'), 'Bytes appended and not yet confirmed.', () => stats().pendingBytes);
  metrics.gauge(name('limit_pending_bytes'), 'Bytes at which appends are refused.', () => stats().pendingBytesMax);
  metrics.gauge(name('queued_records'), 'Records fetched and not yet delivered.', () => stats().queuedRecords);
  metrics.gauge(name('limit_queued_records'), 'Records at which fetching pauses.', () => stats().queuedRecordsMax);
  metrics.gauge(name('queued_bytes'), 'Bytes of records fetched and not yet delivered.', () => stats().queuedBytes);
  metrics.gauge(name('limit_queued_bytes'), 'Bytes at which fetching pauses.', () => stats().queuedBytesMax);
  metrics.total(
    name('refused_records_total'),
    'Records refused because too much was pending.',
    () => stats().refusedRecords,
  );
  metrics.total(name('produce_requests_total'), 'Produce requests, retries included.', () => stats().requests);
  metrics.total(name('retries_total'), 'Produce requests sent again.', () => stats().retries);
  metrics.total(name('expired_records_total'), 'Records that expired at their deadline.', () => stats().expiredRecords);
  counts.produceSeconds = metrics.histogram(
    name('produce_duration_seconds'),
    'Duration of produce requests.',
    delayBoundsSeconds,
  );
  counts.fetchSeconds = metrics.histogram(
    name('fetch_duration_seconds'),
    'Duration of fetches, including the time for which the broker waits for records.',
    delayBoundsSeconds,
  );
  metrics.total(name('failed_fetches_total'), 'Fetches that failed, and are retried.', () => counts.failedFetches);
  const unreadable = metrics.counters(
    name('unreadable_batches_total'),
    'Batches that cannot be read and were skipped, at each read.',
    { values: { reason: unreadableReasons } },
  );
  counts.unreadable = {
    codec: unreadable.with({ reason: 'codec' }),
    checksum: unreadable.with({ reason: 'checksum' }),
    too_large: unreadable.with({ reason: 'too_large' }),
    malformed: unreadable.with({ reason: 'malformed' }),
  };
  metrics.total(
    name('throttle_seconds_total'),
    'Time for which brokers have throttled this client because of a quota.',
    () => counts.throttleMs / 1_000,
  );
  metrics.total(name('group_joins_total'), 'Times this member joined its group.', () => counts.joins);
  metrics.total(name('reconnects_total'), 'Reconnects because reading had stalled.', () => counts.reconnects);
}
