import type { Metrics } from '@tailrace/platform/metrics';

interface Counter {
  add(count?: number): void;
}

export interface AlarmReaderCounts {
  readonly transitions: Counter;
  readonly refused: Counter;
  readonly duplicates: Counter;
  readonly invalid: Counter;
  readonly gaps: Counter;
  readonly failures: Counter;
}

export interface AlarmReaderGauges {
  partitions(): number;
  lag(): number;
  ageSeconds(): number;
}

/** Counts what the reader of alarms stores. */
export function createAlarmReaderCounts(metrics: Metrics, gauges: AlarmReaderGauges): AlarmReaderCounts {
  const name = (rest: string) => `tailrace_control_alarm_${rest}`;
  metrics.gauge(name('partitions'), 'Partitions of events from which this process stores alarms.', gauges.partitions);
  metrics.gauge(name('lag_records'), 'Events of these that are not stored, at the last poll.', gauges.lag);
  metrics.gauge(name('read_age_seconds'), 'Since this process has stored everything that it found.', gauges.ageSeconds);
  const counter = (rest: string, help: string) => metrics.counter(name(rest), help);
  return {
    transitions: counter('transitions_total', 'Transitions of alarms that this process has stored.'),
    refused: counter('refusals_total', 'Actions of people on alarms that alarms has refused, stored.'),
    duplicates: counter('duplicate_events_total', 'Events that were written twice, or by a former owner; not stored.'),
    invalid: counter('invalid_events_total', 'Events of alarms that cannot be decoded.'),
    gaps: counter('event_gaps_total', 'Losses of events that were not stored, or of their whole topic.'),
    failures: counter('read_failures_total', 'Attempts to store or to remove alarms that failed, and are repeated.'),
  };
}
