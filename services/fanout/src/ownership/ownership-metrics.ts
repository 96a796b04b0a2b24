import { delayBoundsSeconds } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import type { KnownDevices } from '../channels/device.ts';
import type { Ownership } from './ownership.ts';
import type { Partition } from './partition.ts';
import { rejectReasons } from './rejected-records.ts';

/**
 * Registers the metrics of the partitions of this node: what is read from the log, its lag, what is kept, and the ring.
 * `now`: monotonic ms.
 */
export function registerOwnershipMetrics(
  metrics: Metrics,
  options: { ownership: Ownership; windowBytesMax: number; now: () => number },
): void {
  const { ownership, windowBytesMax, now } = options;
  const { partition, missing } = ownership.counts;
  registerRoles(metrics, ownership);
  registerLag(metrics, ownership, now);
  metrics.total('tailrace_fanout_reports_total', 'Reports read from the log.', () => partition.reports);
  metrics.total(
    'tailrace_fanout_duplicate_reports_total',
    'Reports with a repeated message ID, which were not delivered.',
    () => partition.duplicates,
  );
  registerIds(metrics, ownership);
  registerRejected(metrics, ownership);
  registerCheckpoints(metrics, ownership);
  metrics.gauge(
    'tailrace_fanout_stalled_partitions',
    'Partitions of this node without progress for 30 s, although there are records to read or that is unknown.',
    () => ownership.stalled.at(now()).length,
  );
  metrics.total(
    'tailrace_fanout_missing_ranges_total',
    'Ranges of reports that were sent to clients of a channel as missing.',
    () => missing.ranges,
  );
  metrics.gauge('tailrace_fanout_window_bytes', 'Newest reports for clients that reconnect, bytes.', () =>
    ownership.partitions.reduce((sum, each) => sum + each.window.bytes, 0),
  );
  metrics.gauge(
    'tailrace_fanout_limit_window_bytes',
    'Maximum bytes of the windows of the partitions of this node; beyond it the oldest reports are dropped.',
    () => here(ownership).length * windowBytesMax,
  );
  registerDevices(metrics, ownership.known);
}

function registerCheckpoints(metrics: Metrics, { checkpoints }: Ownership): void {
  const { counts } = checkpoints;
  metrics.total(
    'tailrace_fanout_checkpoint_records_total',
    'Devices whose last values were written to the state topic.',
    () => counts.records,
  );
  metrics.total(
    'tailrace_fanout_checkpoint_failures_total',
    'Times that last values could not be written.',
    () => counts.failures,
  );
  metrics.total(
    'tailrace_fanout_truncated_checkpoints_total',
    'States written without the oldest last values of their device, because they would have been too large.',
    () => counts.truncated,
  );
  metrics.total(
    'tailrace_fanout_refused_checkpoints_total',
    'States of devices that the state topic refused at any size.',
    () => counts.refused,
  );
  metrics.total(
    'tailrace_fanout_unreadable_state_records_total',
    'Records of the state topic that were skipped: not a state of their device, or unreadable.',
    () => counts.unreadable,
  );
}

/** Registers the known devices, their last values, and what was evicted. */
function registerDevices(metrics: Metrics, known: KnownDevices): void {
  const { counts, limits } = known;
  const pairs = [
    ['devices', 'Devices that this node knows', () => known.size, limits.devicesMax],
    [
      'tenant_devices',
      'Devices that this node knows, of the tenant that has most',
      () => known.mostOfOneTenant,
      limits.devicesPerTenantMax,
    ],
    [
      'device_tags',
      'Tags of the device that has had most since the start',
      () => counts.tagsMost,
      limits.tagsPerDeviceMax,
    ],
    ['last_value_bytes', 'Memory of last values, approximately', () => known.bytes, limits.lastValuesBytesMax],
  ] as const;
  for (const [name, help, read, limit] of pairs) {
    metrics.gauge(`tailrace_fanout_${name}`, `${help}.`, read);
    metrics.gauge(`tailrace_fanout_limit_${name}`, `${help}: the limit.`, () => limit);
  }
  metrics.total(
    'tailrace_fanout_refused_devices_total',
    'Reports of devices that are unknown because of the limits of devices or of memory.',
    () => counts.refused,
  );
  metrics.total(
    'tailrace_fanout_evicted_tags_total',
    'Last values evicted, because their device exceeds the limits of tags or bytes.',
    () => counts.forgottenTags,
  );
  metrics.total(
    'tailrace_fanout_late_reports_total',
    'Reports that changed no last value, because newer ones came before.',
    () => counts.late,
  );
}

/** Registers the remembered message IDs. */
function registerIds(metrics: Metrics, { ids, idLookback, ranges }: Ownership): void {
  metrics.gauge('tailrace_fanout_message_ids', 'Remembered message IDs of all partitions.', () => ids.ids);
  metrics.gauge(
    'tailrace_fanout_limit_message_ids',
    'Maximum of remembered message IDs; beyond it the partition with most forgets its oldest.',
    () => ids.limits.idsMax,
  );
  metrics.gauge(
    'tailrace_fanout_id_window_seconds',
    'Shortest time for which a partition remembers message IDs: idWindowMs, unless some were forgotten.',
    () => ids.heldMs() / 1_000,
  );
  metrics.total(
    'tailrace_fanout_shortened_id_windows_total',
    'Times that the window of message IDs was shorter than idWindowMs, so that duplicates may be delivered.',
    () => ids.counts.forgotten + idLookback.counts.shortened + ranges.counts.shortLookbacks,
  );
}

/** Registers the records of the log that are not reports, or cannot be read. */
function registerRejected(metrics: Metrics, { rejected }: Ownership): void {
  const counters = metrics.counters(
    'tailrace_fanout_unreadable_records_total',
    'Records of the telemetry topic that were skipped because they are not reports of a device.',
    { values: { reason: rejectReasons } },
  );
  rejected.byReason = Object.fromEntries(
    rejectReasons.map((reason) => [reason, counters.with({ reason })]),
  ) as typeof rejected.byReason;
  metrics.total(
    'tailrace_fanout_unreadable_ranges_total',
    'Ranges of positions that the log cannot read; clients get them as missing.',
    () => rejected.unreadableRanges,
  );
  metrics.total(
    'tailrace_fanout_failed_records_total',
    'Records that this node could not process because of an internal error; clients get them as missing.',
    () => rejected.failedRecords,
  );
}

/** Registers the lag behind the end of the log, and the age of published reports. */
function registerLag(metrics: Metrics, ownership: Ownership, now: () => number): void {
  metrics.gauge(
    'tailrace_fanout_log_queue_records',
    'Records read from the log and not yet processed.',
    () => ownership.queue().records,
  );
  metrics.gauge(
    'tailrace_fanout_limit_log_queue_records',
    'Records at which reading pauses.',
    () => ownership.queue().recordsMax,
  );
  metrics.gauge(
    'tailrace_fanout_log_lag_reports',
    'Reports in the log, at the last poll of its end, that this node serves and has not processed.',
    () => owned(ownership).reduce((sum, { progress, next }) => sum + progress.lagRecords(next), 0),
  );
  metrics.gauge(
    'tailrace_fanout_log_lag_seconds',
    'Maximum time that a report has been in the log without being processed, of the partition with most; up to 1 s in normal operation.',
    () => owned(ownership).reduce((most, { progress }) => Math.max(most, progress.lagMs(now())), 0) / 1_000,
  );
  const ages = metrics.histograms(
    'tailrace_fanout_published_age_seconds',
    'Time from ingest to the sockets of this node, of the oldest report of each fetch of the log, or of each frame of another node.',
    delayBoundsSeconds,
    { values: { source: ['log', 'relay'] } },
  );
  ownership.pipeline.logAgeSeconds = ages.with({ source: 'log' });
  ownership.pipeline.relayAgeSeconds = ages.with({ source: 'relay' });
}

function registerRoles(metrics: Metrics, ownership: Ownership): void {
  const roles = (role: string) => here(ownership).filter((each) => each.role === role && !each.isStandby).length;
  metrics.gauge('tailrace_fanout_partitions', 'Partitions of the topic.', () => ownership.partitions.length);
  metrics.gauge('tailrace_fanout_owned_partitions', 'Partitions this node owns and serves.', () => roles('owned'));
  metrics.gauge('tailrace_fanout_recovering_partitions', 'Partitions this node reads back.', () => roles('recovering'));
  metrics.gauge(
    'tailrace_fanout_ring_nodes',
    'Nodes whose announcements this node receives, itself included.',
    () => ownership.ring.nodes().length,
  );
  metrics.gauge(
    'tailrace_fanout_ring_partitions',
    'Partitions with an owner, as this node sees it.',
    () => ownership.ring.owned,
  );
}

function here({ partitions }: Ownership): readonly Partition[] {
  return partitions.filter(({ role }) => role !== 'elsewhere');
}

function owned({ partitions }: Ownership): readonly Partition[] {
  return partitions.filter(({ role }) => role === 'owned');
}
