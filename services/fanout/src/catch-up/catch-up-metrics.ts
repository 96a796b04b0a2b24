import type { Metrics } from '@tailrace/platform/metrics';
import type { FanoutSettings } from '../config.ts';
import type { CatchUps } from './catch-ups.ts';
import type { History } from './history.ts';

/** Registers the metrics of replays, of resuming clients, and of the sources of their reports. */
export function registerCatchUpMetrics(
  metrics: Metrics,
  options: { catchUps: CatchUps; history: History; limits: Pick<FanoutSettings, 'replaysMax'> },
): void {
  const { catchUps, history, limits } = options;
  metrics.total(
    'tailrace_fanout_slow_conflated_reports_total',
    'Reports that slow clients were sent conflated.',
    () => catchUps.counts.conflated,
  );
  metrics.gauge('tailrace_fanout_replays', 'Subscriptions that are shown the history.', () => catchUps.counts.replays);
  metrics.gauge('tailrace_fanout_paced_replays', 'Those with a speed.', () => catchUps.counts.pacedReplays);
  metrics.gauge('tailrace_fanout_limit_paced_replays', 'Those this node runs at once.', () => limits.replaysMax);
  metrics.total(
    'tailrace_fanout_window_resumed_partitions_total',
    'Partitions with which a client resumed from the window.',
    () => history.counts.fromWindow,
  );
  metrics.total(
    'tailrace_fanout_log_resumed_partitions_total',
    'Partitions with which a client resumed from the log.',
    () => history.counts.fromLog,
  );
  metrics.total(
    'tailrace_fanout_incomplete_resumed_partitions_total',
    'Partitions with which a client resumed with something missing.',
    () => history.counts.incomplete,
  );
  metrics.total(
    'tailrace_fanout_read_log_blocks_total',
    'Blocks of the log read for clients that are behind.',
    () => history.ranges.blocks.counts.read,
  );
  metrics.gauge(
    'tailrace_fanout_log_block_bytes',
    'Blocks of the log that are cached for clients that are behind.',
    () => history.ranges.blocks.bytes,
  );
  metrics.gauge(
    'tailrace_fanout_limit_log_block_bytes',
    'An eighth of catchUpBytesMax: beyond it the least recently used block is dropped.',
    () => history.ranges.blocks.bytesMax,
  );
  metrics.total(
    'tailrace_fanout_shared_log_blocks_total',
    'Times that such a block was cached already.',
    () => history.ranges.blocks.counts.shared,
  );
}
