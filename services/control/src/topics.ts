import type { TopicSpec } from '@tailrace/eventlog/event-log';

/** 400 days. The entries themselves stay in PostgreSQL. */
const auditRetentionMs = 400 * 24 * 3_600_000;

/** Returns the topic of the audit: a copy of its entries that no writer of PostgreSQL can change. */
export function auditTopicSpec(prefix: string): TopicSpec {
  const retention = { retentionMs: auditRetentionMs, retentionBytes: Number.POSITIVE_INFINITY };
  return { name: `${prefix}.audit`, partitions: 1, ...retention };
}
