import type { Metrics } from '@tailrace/platform/metrics';
import type { Ownership } from '../ownership/ownership.ts';
import type { Migration } from './migration.ts';
import type { RingPlacement } from './placement.ts';

/** Registers the metrics of standby owners, and of clients that are asked to move. */
export function registerPlacementMetrics(
  metrics: Metrics,
  options: { ownership: Ownership; placement: RingPlacement; migration: Migration },
): void {
  const { ownership, placement, migration } = options;
  metrics.gauge(
    'tailrace_fanout_suspect_nodes',
    'Nodes without recent announcements that are not absent yet.',
    () => ownership.ring.suspects,
  );
  metrics.gauge(
    'tailrace_fanout_standby_partitions',
    'Partitions this node serves as standby owner, until another node serves them.',
    () => ownership.failover.size,
  );
  metrics.total(
    'tailrace_fanout_taken_over_partitions_total',
    'Times that this node started to serve a partition as standby owner.',
    () => ownership.failover.counts.takenOver,
  );
  metrics.total(
    'tailrace_fanout_released_partitions_total',
    'Times that this node released a partition that it had kept or taken over, because another node served it.',
    () => ownership.failover.counts.released,
  );
  metrics.total(
    'tailrace_fanout_moved_clients_total',
    'Times that a client was sent moved, because another node owns its device.',
    () => placement.counts.moved,
  );
  metrics.gauge(
    'tailrace_fanout_migrations',
    'Moves that clients are still to be asked for after partitions changed owners.',
    () => migration.waiting,
  );
}
