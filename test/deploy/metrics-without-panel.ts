const ofGroups = 'ingest is no member of a group: the value stays 0';
const ofFetches =
  'ingest reads little: the control topic, whose age has an alert, and lookbacks, which are counted by outcome';

/** Metrics that no panel and no alert uses, with the reason. */
export const metricsWithoutPanel: Readonly<Record<'ingest' | 'edge', Readonly<Record<string, string>>>> = {
  ingest: {
    tailrace_ingest_kafka_failed_fetches_total: ofFetches,
    tailrace_ingest_kafka_fetch_duration_seconds: ofFetches,
    tailrace_ingest_kafka_limit_queued_bytes: ofGroups,
    tailrace_ingest_kafka_limit_queued_records: ofGroups,
    tailrace_ingest_kafka_queued_bytes: ofGroups,
    tailrace_ingest_kafka_queued_records: ofGroups,
    tailrace_ingest_kafka_group_joins_total: ofGroups,
    tailrace_ingest_kafka_reconnects_total: ofGroups,
    tailrace_ingest_kafka_unreadable_batches_total: ofFetches,
  },
  edge: {},
};
