import type { Metrics } from '@tailrace/platform/metrics';
import type { Cuts } from '../views/cuts.ts';
import type { PresenceMonitor } from './presence-monitor.ts';
import { offline, stale } from './presences.ts';

/** Registers the metrics of stale and offline devices, of interruptions, and of cuts. */
export function registerFreshnessMetrics(
  metrics: Metrics,
  options: { presence: PresenceMonitor; cuts: Cuts; cutBytesMax: number },
): void {
  const { presences, interruptions, sessions } = options.presence;
  const { cuts } = options;
  metrics.gauge(
    'tailrace_fanout_stale_devices',
    'Known devices without a report for longer than their report interval allows.',
    () => presences.count(stale),
  );
  metrics.gauge(
    'tailrace_fanout_offline_devices',
    'Known devices that have been stale for so long that no report is expected.',
    () => presences.count(offline),
  );
  metrics.total(
    'tailrace_fanout_presence_changes_total',
    'Times that a known device became stale, offline or online again.',
    () => presences.counts.changes,
  );
  metrics.gauge(
    'tailrace_fanout_session_devices',
    'Devices whose last session this node remembers, of the partitions that it owns.',
    () => sessions.size,
  );
  metrics.gauge('tailrace_fanout_open_sessions', 'Those of them whose session is open.', () => sessions.open);
  metrics.total(
    'tailrace_fanout_closed_session_devices_total',
    'Times that a device became offline because its session has closed.',
    () => sessions.counts.offline,
  );
  metrics.total(
    'tailrace_fanout_orphaned_sessions_total',
    'Sessions that count as closed because their ingest process has written nothing for a minute.',
    () => sessions.counts.orphaned,
  );
  metrics.total(
    'tailrace_fanout_invalid_session_events_total',
    'Records of the events topic that could not be read.',
    () => sessions.counts.invalid,
  );
  metrics.gauge(
    'tailrace_fanout_interrupted_views',
    'Views whose clients were sent interrupted, because a partition is not known to be read to its end.',
    () => interruptions.size,
  );
  metrics.total(
    'tailrace_fanout_interruptions_total',
    'Times that interrupted was sent to the clients of a view.',
    () => interruptions.counts.interrupted,
  );
  metrics.gauge('tailrace_fanout_aligned_views', 'Views that get cuts.', () => cuts.size);
  metrics.gauge('tailrace_fanout_cut_bytes', 'Bytes of reports held for cuts.', () => cuts.bytes);
  metrics.gauge(
    'tailrace_fanout_limit_cut_bytes',
    'Maximum bytes held for cuts; beyond it subscriptions of the user that holds most are closed.',
    () => options.cutBytesMax,
  );
  metrics.total('tailrace_fanout_cuts_total', 'Cuts sent.', () => cuts.counts.sent);
  metrics.total(
    'tailrace_fanout_incomplete_cuts_total',
    'Cuts sent without some partition after alignWaitMs.',
    () => cuts.counts.incomplete,
  );
  metrics.total(
    'tailrace_fanout_late_cut_devices_total',
    'Devices named as late, because a report arrived after its cut was sent.',
    () => cuts.counts.late,
  );
  metrics.total(
    'tailrace_fanout_cut_wait_seconds_total',
    'Total time from the times of the cuts until they were sent.',
    () => cuts.counts.waitedMs / 1_000,
  );
  metrics.total(
    'tailrace_fanout_closed_aligned_subscriptions_total',
    'Subscriptions closed because cuts took too much memory.',
    () => cuts.counts.terminated,
  );
}
