import type { Metrics } from '@tailrace/platform/metrics';
import type { FanoutSettings } from '../config.ts';
import type { CatchUps } from './catch-ups.ts';
import type { Resume } from './resume.ts';

/** Registers how many clients get history or what they missed, and from where it was read. */
export function registerCatchUpMetrics(
  metrics: Metrics,
  parts: { catchUps: CatchUps; past: Resume; limits: Pick<FanoutSettings, 'replaysMax'> },
): void {
  const { catchUps, past, limits } = parts;
  metrics.total(
    'tailrace_fanout_slow_conflated_reports_total',
    'Reports that slow clients were told in sum only.',
    () => catchUps.counts.conflated,
  );
  metrics.gauge('tailrace_fanout_replays', 'Subscriptions that are shown the past.', () => catchUps.counts.replays);
  metrics.gauge('tailrace_fanout_paced_replays', 'Those with a speed.', () => catchUps.counts.pacedReplays);
  metrics.gauge('tailrace_fanout_limit_paced_replays', 'Those this node runs at once.', () => limits.replaysMax);
  metrics.total(
    'tailrace_fanout_window_resumed_partitions_total',
    'Partitions of which a client that came back was given what it missed from the window.',
    () => past.counts.fromWindow,
  );
  metrics.total(
    'tailrace_fanout_log_resumed_partitions_total',
    'Partitions of which a client that came back was given what it missed from the log.',
    () => past.counts.fromLog,
  );
  metrics.total(
    'tailrace_fanout_incomplete_resumed_partitions_total',
    'Partitions of which a client that came back was told that something is missing.',
    () => past.counts.incomplete,
  );
  metrics.total(
    'tailrace_fanout_read_log_blocks_total',
    'Blocks of the log read for clients that are behind.',
    () => past.ranges.blocks.counts.read,
  );
  metrics.gauge(
    'tailrace_fanout_log_block_bytes',
    'Blocks of the log that are remembered for clients that are behind.',
    () => past.ranges.blocks.bytes,
  );
  metrics.gauge(
    'tailrace_fanout_limit_log_block_bytes',
    'An eighth of catchUpBytesMax: beyond it the block that was used longest ago is forgotten.',
    () => past.ranges.blocks.bytesMax,
  );
  metrics.total(
    'tailrace_fanout_shared_log_blocks_total',
    'Times that such a block was at hand already.',
    () => past.ranges.blocks.counts.shared,
  );
}
