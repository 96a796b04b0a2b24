import type { Metrics } from '@tailrace/platform/metrics';
import type { GroupCommit } from './group-commit.ts';

/** Registers the metrics of the queue before the disk, and its limit. */
export function registerEmbeddedMetrics(
  metrics: Metrics,
  writes: Pick<GroupCommit, 'pendingBytes' | 'pendingBytesMax'>,
): void {
  const name = (rest: string) => `tailrace_${metrics.service}_disk_${rest}`;
  metrics.gauge(name('pending_bytes'), 'Bytes appended and not yet on disk.', () => writes.pendingBytes);
  metrics.gauge(name('limit_pending_bytes'), 'Bytes at which appends are refused.', () => writes.pendingBytesMax);
}
