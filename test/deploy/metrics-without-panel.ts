const ofGroups = 'the service is no member of a group: the value stays 0';
const ofFetches =
  'ingest reads little: the control topic, whose age has an alert, and lookbacks, which are counted by outcome';

const ofTopic = 'the age of the control topic has a panel and an alert; ingest and fanout read the same records';
const ofLists = 'ingest and fanout have the same list, with panels: they serve the clients';
const ofSubmissions =
  'they wait for one transaction, tens of milliseconds; the connections to the database have a panel';
const ofRefusals = 'refused requests have a panel; the next entry of the audit has the number of those without one';
const ofEvents = 'control reads little: the age of the list of alarms has a panel and an alert';

/** Metrics that no panel and no alert uses, with the reason. */
export const metricsWithoutPanel: Readonly<Record<'ingest' | 'edge' | 'control', Readonly<Record<string, string>>>> = {
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
  control: {
    tailrace_control_waiting_submissions: ofSubmissions,
    tailrace_control_limit_waiting_submissions: ofSubmissions,
    tailrace_control_omitted_refusals_total: ofRefusals,
    tailrace_control_control_read_failures_total: ofTopic,
    tailrace_control_control_records_total: ofTopic,
    tailrace_control_control_unreadable_records_total: ofTopic,
    tailrace_control_evicted_revocation_entries_total: ofLists,
    tailrace_control_invalid_revocation_entries_total: ofLists,
    tailrace_control_ignored_credentials_total: ofLists,
    tailrace_control_invalid_credentials_total: ofLists,
    tailrace_control_kafka_failed_fetches_total: ofEvents,
    tailrace_control_kafka_fetch_duration_seconds: ofEvents,
    tailrace_control_kafka_unreadable_batches_total: ofEvents,
    tailrace_control_kafka_limit_queued_bytes: ofGroups,
    tailrace_control_kafka_limit_queued_records: ofGroups,
    tailrace_control_kafka_queued_bytes: ofGroups,
    tailrace_control_kafka_queued_records: ofGroups,
    tailrace_control_kafka_group_joins_total: ofGroups,
    tailrace_control_kafka_reconnects_total: ofGroups,
  },
};
