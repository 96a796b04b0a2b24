import { delayBoundsSeconds } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import type { WorkScheduler } from './work-scheduler.ts';

/** Registers the metrics of background work: its time, its waits, its queues and its memory. */
export function registerWorkMetrics(metrics: Metrics, work: WorkScheduler): void {
  const { limits, memory } = work;
  metrics.total(
    'tailrace_fanout_background_seconds_total',
    'Time of the event loop for background work: client messages, snapshots, resuming, replay, catching up and consistent cuts.',
    () => work.counts.usedMs / 1_000,
  );
  metrics.total(
    'tailrace_fanout_refused_tasks_total',
    'Background tasks refused with rate_limited because too many were queued.',
    () => work.counts.refused,
  );
  work.waitSeconds = metrics.histogram(
    'tailrace_fanout_work_wait_seconds',
    'Time from queueing a background task until its first step.',
    delayBoundsSeconds,
  );
  metrics.gauge('tailrace_fanout_queued_tasks', 'Background tasks that are queued or in progress.', () => work.queued);
  metrics.gauge(
    'tailrace_fanout_limit_queued_tasks',
    'Maximum of queued background tasks; beyond it rate_limited.',
    () => limits.queuedTasksMax,
  );
  metrics.gauge(
    'tailrace_fanout_user_queued_tasks',
    'Background tasks of the user that has most.',
    () => work.userQueuedMost,
  );
  metrics.gauge(
    'tailrace_fanout_limit_user_queued_tasks',
    'Maximum of queued background tasks of one user; beyond it rate_limited.',
    () => limits.userQueuedTasksMax,
  );
  metrics.gauge('tailrace_fanout_catch_up_bytes', 'Memory of background tasks, bytes.', () => memory.heldBytes);
  metrics.gauge(
    'tailrace_fanout_limit_catch_up_bytes',
    'Maximum memory of background tasks, bytes; beyond it they wait.',
    () => memory.bytesMax,
  );
  metrics.total(
    'tailrace_fanout_catch_up_memory_waits_total',
    'Background tasks that waited for memory.',
    () => memory.counts.waits,
  );
}
