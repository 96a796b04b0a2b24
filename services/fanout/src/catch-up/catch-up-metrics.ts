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
    'Reports that were conflated for slow clients.',
    () => catchUps.counts.conflated,
  );
  metrics.gauge('tailrace_fanout_replays', 'Replays in progress.', () => catchUps.counts.replays);
  metrics.gauge(
    'tailrace_fanout_paced_replays',
    'Replays with a speed in progress.',
    () => catchUps.counts.pacedReplays,
  );
  metrics.gauge(
    'tailrace_fanout_limit_paced_replays',
    'Maximum of replays with a speed; beyond it limit_reached.',
    () => limits.replaysMax,
  );
  metrics.total(
    'tailrace_fanout_window_resumed_partitions_total',
    'Partitions of resuming clients that were read from the window.',
    () => history.counts.fromWindow,
  );
  metrics.total(
    'tailrace_fanout_log_resumed_partitions_total',
    'Partitions of resuming clients that were read from the log.',
    () => history.counts.fromLog,
  );
  metrics.total(
    'tailrace_fanout_incomplete_resumed_partitions_total',
    'Partitions of resuming clients with missing reports.',
    () => history.counts.incomplete,
  );
  metrics.total(
    'tailrace_fanout_read_log_blocks_total',
    'Blocks of the log read for clients that are behind.',
    () => history.ranges.blocks.counts.read,
  );
  metrics.gauge(
    'tailrace_fanout_log_block_bytes',
    'Bytes of cached blocks of the log, for clients that are behind.',
    () => history.ranges.blocks.bytes,
  );
  metrics.gauge(
    'tailrace_fanout_limit_log_block_bytes',
    'Maximum bytes of cached blocks, an eighth of catchUpBytesMax; beyond it the least recently used one is dropped.',
    () => history.ranges.blocks.bytesMax,
  );
  metrics.total(
    'tailrace_fanout_shared_log_blocks_total',
    'Reads of the log that a cached block answered.',
    () => history.ranges.blocks.counts.shared,
  );
}
