import type { Metrics } from '@tailrace/platform/metrics';
import type { Cuts } from '../views/cuts.ts';
import type { PresenceMonitor } from './presence-monitor.ts';
import { offline, stale } from './presences.ts';

/** Registers what a node counts of silent devices, of its own hearing, and of cuts. */
export function registerFreshnessMetrics(
  metrics: Metrics,
  parts: { silences: PresenceMonitor; cuts: Cuts; cutBytesMax: number },
): void {
  const { presences, interruptions } = parts.silences;
  const { cuts } = parts;
  metrics.gauge(
    'tailrace_fanout_stale_devices',
    'Devices known here that are silent for longer than their rhythm allows.',
    () => presences.count(stale),
  );
  metrics.gauge('tailrace_fanout_offline_devices', 'Devices known here of which nothing is expected any more.', () =>
    presences.count(offline),
  );
  metrics.total(
    'tailrace_fanout_presence_changes_total',
    'Times that a device became stale, offline or online again, as known here.',
    () => presences.counts.told,
  );
  metrics.gauge(
    'tailrace_fanout_interrupted_views',
    'Views whose clients were told that this node cannot hear partitions of theirs.',
    () => interruptions.size,
  );
  metrics.total(
    'tailrace_fanout_interruptions_total',
    'Times that clients of a view were told so.',
    () => interruptions.counts.interrupted,
  );
  metrics.gauge('tailrace_fanout_aligned_views', 'Views that get cuts.', () => cuts.size);
  metrics.gauge('tailrace_fanout_cut_bytes', 'Reports held for cuts.', () => cuts.bytes);
  metrics.gauge(
    'tailrace_fanout_limit_cut_bytes',
    'Bytes that may be held for cuts; beyond it subscriptions of the user that holds most end.',
    () => parts.cutBytesMax,
  );
  metrics.total('tailrace_fanout_cuts_total', 'Cuts sent.', () => cuts.counts.sent);
  metrics.total(
    'tailrace_fanout_incomplete_cuts_total',
    'Cuts sent without waiting longer for some partition.',
    () => cuts.counts.incomplete,
  );
  metrics.total(
    'tailrace_fanout_late_cut_devices_total',
    'Devices named because a report came after its cut.',
    () => cuts.counts.late,
  );
  metrics.total(
    'tailrace_fanout_cut_wait_seconds_total',
    'From the moments of the cuts until they were sent, added up.',
    () => cuts.counts.waitedMs / 1_000,
  );
  metrics.total(
    'tailrace_fanout_ended_aligned_subscriptions_total',
    'Subscriptions that ended because cuts took too much memory.',
    () => cuts.counts.ended,
  );
}
