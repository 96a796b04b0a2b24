import { delayBoundsSeconds, type Histogram } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import type { AreaRateCounter } from './flood/area-rate-counter.ts';
import { areasMax } from './flood/area-rates.ts';
import type { AlarmCheckpoints } from './ownership/alarm-checkpoints.ts';
import type { AlarmOwnership } from './ownership/alarm-ownership.ts';
import type { EventWriters } from './ownership/event-writer.ts';
import type { EvaluationCounts, PairCount, PartitionAlarms } from './ownership/partition-alarms.ts';
import type { Recovery } from './ownership/recovery.ts';
import type { RuleSet } from './rules/rule-set.ts';
import type { TopicReader } from './rules/topic-reader.ts';

/** The objects of a node that have metrics. */
interface CountingNode {
  readonly rules: RuleSet;
  readonly reader: TopicReader;
  readonly devicesReader: TopicReader;
  readonly ownership: AlarmOwnership;
  readonly areaRates: AreaRateCounter | undefined;
  readonly checkpoints: AlarmCheckpoints;
  readonly recovery: Recovery;
  readonly writers: EventWriters;
  readonly counts: EvaluationCounts;
  readonly pairs: PairCount;
}

/** Measures that the node updates itself. */
export interface AlarmMeasures {
  readonly delaySeconds: Histogram;
  readonly takeoverSeconds: Histogram;
}

const takeoverBoundsSeconds = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * Registers the metrics of a node. Values are read when they are requested, so that hot paths only add to plain
 * numbers. Each limit is a gauge with `limit_` before the name of the gauge of its usage.
 */
export function registerAlarmMetrics(
  metrics: Metrics,
  { node, now }: { readonly node: () => CountingNode; readonly now: () => number },
): AlarmMeasures {
  const total = (name: string, help: string, read: (counting: CountingNode) => number) =>
    metrics.total(`tailrace_alarms_${name}`, help, () => read(node()));
  const gauge = (name: string, help: string, read: (counting: CountingNode) => number) =>
    metrics.gauge(`tailrace_alarms_${name}`, help, () => read(node()));
  const largest = (ownership: AlarmOwnership, of: (alarms: PartitionAlarms) => number) =>
    Math.max(0, ...Array.from(ownership.owned(), of));

  total('reports_total', 'Reports evaluated, of devices with rules.', ({ counts }) => counts.reports);
  total('evaluations_total', 'Evaluations of a rule at a device.', ({ counts }) => counts.evaluated);
  total(
    'late_readings_total',
    'Readings that are older than the last value of their tag, and were not evaluated.',
    ({ counts }) => counts.lateReadings,
  );
  total(
    'duplicate_reports_total',
    'Reports without a usable time of the device that are duplicates by their message ID; not evaluated.',
    ({ counts }) => counts.duplicateReports,
  );
  total('transitions_total', 'Transitions of alarms.', ({ counts }) => counts.transitions);
  total('actions_total', 'Actions of people that were read.', ({ counts }) => counts.actions);
  total('refusals_total', 'Actions of people that were refused.', ({ counts }) => counts.refusals);
  total(
    'rejected_records_total',
    'Records that are no reports or events, or could not be evaluated; skipped.',
    ({ counts }) => counts.rejected,
  );
  total(
    'unevaluated_reports_total',
    'Reports that were not evaluated, since their device is beyond the limit of pairs.',
    ({ counts }) => counts.unevaluated,
  );
  gauge('pairs', 'Pairs of a rule and a device on this node.', ({ pairs }) => pairs.size);
  gauge('limit_pairs', 'Limit of pairs; reports of further devices are not evaluated.', ({ pairs }) => pairs.max);

  gauge('rules', 'Rules in force.', ({ rules }) => rules.size);
  gauge(
    'rules_read_age_seconds',
    'Seconds since the topic of rules was last read to its end: the most that a change of a rule is delayed.',
    ({ reader }) => reader.poller.readAgeMs / 1_000,
  );
  total(
    'invalid_rules_total',
    'Records of the topic of rules that are no rule.',
    ({ reader }) => reader.counts.invalid,
  );
  total(
    'rules_read_failures_total',
    'Polls of the topic of rules that failed.',
    ({ reader }) => reader.poller.counts.readFailures,
  );

  gauge('labeled_devices', 'Devices with a kind or labels, by which rules select.', ({ rules }) => rules.devices.size);
  gauge(
    'limit_labeled_devices',
    'Limit of these; further devices match no rule that selects by kind or label.',
    ({ rules }) => rules.devices.devicesMax,
  );
  total('refused_labeled_devices_total', 'Records of devices beyond this limit.', ({ rules }) => rules.devices.refused);
  total(
    'invalid_devices_total',
    'Records of the topic of devices that have no kind and labels.',
    ({ devicesReader }) => devicesReader.counts.invalid,
  );
  gauge(
    'devices_read_age_seconds',
    'Seconds since the topic of devices was last read to its end: the most that a change of labels is delayed.',
    ({ devicesReader }) => devicesReader.poller.readAgeMs / 1_000,
  );
  total(
    'devices_read_failures_total',
    'Polls of the topic of devices that failed.',
    ({ devicesReader }) => devicesReader.poller.counts.readFailures,
  );

  gauge('unwritten_transitions', 'Transitions that the log has not taken yet.', ({ writers }) => writers.unwritten);
  gauge(
    'limit_unwritten_transitions',
    'Limit of unwritten transitions; at it no further report is evaluated.',
    ({ writers }) => writers.options.unwrittenMax,
  );
  total('write_retries_total', 'Appends of transitions that were repeated.', ({ writers }) => writers.counts.retries);
  total(
    'refused_transitions_total',
    'Transitions that the log does not take, since they are too large; left out.',
    ({ writers }) => writers.counts.refused,
  );

  gauge('areas', 'Areas with alarms whose rate this node counts.', ({ areaRates }) => areaRates?.rates?.size ?? 0);
  gauge('limit_areas', 'Limit of areas; alarms of further ones are not counted for a flood.', () => areasMax);
  gauge(
    'flood_areas',
    'Areas with more than 10 alarms in 10 minutes, of those whose rate this node counts.',
    ({ areaRates }) => areaRates?.rates?.floods ?? 0,
  );
  total(
    'refused_area_alarms_total',
    'Alarms that were not counted for a flood: their area is beyond limit_areas, or its path is too long.',
    ({ areaRates }) => areaRates?.counts.refused ?? 0,
  );
  total(
    'area_rates_total',
    'Records of the rates of areas that this node has written.',
    ({ areaRates }) => areaRates?.counts.written ?? 0,
  );
  total(
    'area_rate_failures_total',
    'Attempts to read or to write the rates of areas that failed, and are repeated.',
    ({ areaRates }) => areaRates?.counts.failures ?? 0,
  );
  gauge(
    'area_rate_age_seconds',
    'Seconds since this node has read all alarms for the rates of areas; 0: another node counts them.',
    ({ areaRates }) => (areaRates?.readAgeMs ?? 0) / 1_000,
  );

  gauge('partitions', 'Partitions that this node evaluates.', ({ ownership }) => [...ownership.owned()].length);
  gauge('lag_records', 'Reports in the log that are not evaluated yet, of the partition with most.', ({ ownership }) =>
    largest(ownership, ({ watermark, telemetry }) => watermark.lagRecords(telemetry)),
  );
  gauge(
    'evaluated_age_seconds',
    'Seconds since a partition was last known to be evaluated to its end, of the oldest one.',
    ({ ownership }) => largest(ownership, ({ watermark }) => watermark.ageMs(now()) / 1_000),
  );
  total(
    'fenced_partitions_total',
    'Partitions that another process has taken over, by the log, while the group assigned them to this node.',
    ({ ownership }) => ownership.counts.fenced,
  );

  gauge(
    'checkpoint_age_seconds',
    'Seconds since the last complete checkpoint, of the oldest partition.',
    ({ ownership }) => largest(ownership, ({ checkpointedMs }) => (now() - checkpointedMs) / 1_000),
  );
  total('checkpoint_records_total', 'Records of checkpoints written.', ({ checkpoints }) => checkpoints.counts.records);
  total('checkpoint_failures_total', 'Checkpoints that failed.', ({ checkpoints }) => checkpoints.counts.failures);
  total(
    'refused_checkpoints_total',
    'States of devices that the log does not take, since they are too large.',
    ({ checkpoints }) => checkpoints.counts.refused,
  );
  total(
    'unreadable_checkpoints_total',
    'Records of checkpoints that cannot be read.',
    ({ checkpoints }) => checkpoints.counts.unreadable,
  );
  total(
    'adopted_events_total',
    'Transitions and refusals since the checkpoint that a takeover has read from the events.',
    ({ recovery }) => recovery.counts.adopted,
  );
  total(
    'lost_records_total',
    'Positions that retention has removed before they were evaluated.',
    ({ recovery }) => recovery.counts.lost,
  );
  const takeoverSeconds = metrics.histogram(
    'tailrace_alarms_takeover_seconds',
    'Time from the assignment of a partition to the evaluation of its next report.',
    takeoverBoundsSeconds,
  );
  const delaySeconds = metrics.histogram(
    'tailrace_alarms_delay_seconds',
    'Time from the receipt of a report by ingest until the log has the transition that it has caused.',
    delayBoundsSeconds,
  );
  return { takeoverSeconds, delaySeconds };
}
