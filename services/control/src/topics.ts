import type { TopicSpec } from '@tailrace/eventlog/event-log';

/** 400 days. The entries themselves stay in PostgreSQL. */
const auditRetentionMs = 400 * 24 * 3_600_000;

/** Returns the topic of the audit: a copy of its entries that no writer of PostgreSQL can change. */
export function auditTopicSpec(prefix: string): TopicSpec {
  const retention = { retentionMs: auditRetentionMs, retentionBytes: Number.POSITIVE_INFINITY };
  return { name: `${prefix}.audit`, partitions: 1, ...retention };
}

/** Returns the compacted topic of the rules of alarms, by their IDs. A tombstone: the rule was deleted. */
export function rulesTopicSpec(prefix: string): TopicSpec {
  const retention = { retentionMs: Number.POSITIVE_INFINITY, retentionBytes: Number.POSITIVE_INFINITY };
  return { name: `${prefix}.rules`, partitions: 1, ...retention, compacted: true };
}
