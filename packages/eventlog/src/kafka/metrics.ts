import type { Metrics } from '@tailrace/platform/metrics';
import type { KafkaEventLog } from '../kafka.ts';

/** What a service shows of its connection to Kafka: how near its queues are to their bounds, and what went wrong. */
export function registerKafkaMetrics(metrics: Metrics, eventLog: Pick<KafkaEventLog, 'stats'>): void {
  const name = (rest: string) => `tailrace_${metrics.service}_kafka_${rest}`;
  const stats = () => eventLog.stats();
  metrics.gauge(name('pending_bytes'), 'Bytes appended and not yet confirmed.', () => stats().pendingBytes);
  metrics.gauge(name('limit_pending_bytes'), 'Bytes at which appends are refused.', () => stats().pendingBytesMax);
  metrics.gauge(name('queued_records'), 'Records fetched and not yet handed over.', () => stats().queuedRecords);
  metrics.total(name('refused_records_total'), 'Records refused because too much was pending.', () => stats().refused);
  metrics.total(name('produce_requests_total'), 'Produce requests, retries included.', () => stats().requests);
  metrics.total(name('retries_total'), 'Produce requests sent again.', () => stats().retries);
  metrics.total(name('expired_records_total'), 'Records given up at their deadline.', () => stats().givenUp);
}
