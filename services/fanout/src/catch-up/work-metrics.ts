import { delayBoundsSeconds } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import type { WorkScheduler } from './work-scheduler.ts';

/** Registers the metrics of background work: its time, its waits, its queues and its memory. */
export function registerWorkMetrics(metrics: Metrics, work: WorkScheduler): void {
  const { limits, memory } = work;
  metrics.total(
    'tailrace_fanout_background_seconds_total',
    'Time of the event loop used for what clients ask for: their messages, snapshots, resuming, replay, catching up and consistent cuts.',
    () => work.counts.usedMs / 1_000,
  );
  metrics.total(
    'tailrace_fanout_refused_tasks_total',
    'Tasks of such work refused with rate_limited because too many waited.',
    () => work.counts.refused,
  );
  work.waitSeconds = metrics.histogram(
    'tailrace_fanout_work_wait_seconds',
    'How long such work waited for its first turn.',
    delayBoundsSeconds,
  );
  metrics.gauge('tailrace_fanout_queued_tasks', 'Tasks of such work that wait or are in progress.', () => work.queued);
  metrics.gauge('tailrace_fanout_limit_queued_tasks', 'Those that may wait.', () => limits.queuedTasksMax);
  metrics.gauge('tailrace_fanout_user_queued_tasks', 'Those of the user that has most.', () => work.userQueuedMost);
  metrics.gauge(
    'tailrace_fanout_limit_user_queued_tasks',
    'Those that may wait for one user.',
    () => limits.userQueuedTasksMax,
  );
  metrics.gauge('tailrace_fanout_catch_up_bytes', 'Memory held by such work.', () => memory.heldBytes);
  metrics.gauge('tailrace_fanout_limit_catch_up_bytes', 'Memory that such work may hold.', () => memory.bytesMax);
  metrics.total(
    'tailrace_fanout_catch_up_memory_waits_total',
    'Times that such work had to wait for memory.',
    () => memory.counts.waits,
  );
}
