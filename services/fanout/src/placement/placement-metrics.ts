import type { Metrics } from '@tailrace/platform/metrics';
import type { Ownership } from '../ownership/ownership.ts';
import type { Migration } from './migration.ts';
import type { RingPlacement } from './placement.ts';

/** What a node counts of who stands in for whom, and of clients sent elsewhere. Read out when it is asked for. */
export function registerPlacementMetrics(
  metrics: Metrics,
  parts: { ownership: Ownership; placement: RingPlacement; migration: Migration },
): void {
  const { ownership, placement, migration } = parts;
  metrics.gauge(
    'tailrace_fanout_suspect_nodes',
    'Nodes that have fallen silent, and are not absent yet.',
    () => ownership.ring.suspects,
  );
  metrics.gauge(
    'tailrace_fanout_acting_partitions',
    'Partitions this node serves without owning them, until another does.',
    () => ownership.failover.size,
  );
  metrics.total(
    'tailrace_fanout_taken_over_partitions_total',
    'Times that this node began to serve a partition in place of a silent owner.',
    () => ownership.failover.counts.takenOver,
  );
  metrics.total(
    'tailrace_fanout_handed_on_partitions_total',
    'Times that another node served a partition that this one had kept or taken over.',
    () => ownership.failover.counts.released,
  );
  metrics.total(
    'tailrace_fanout_moved_clients_total',
    'Times that a client was told that its device lives on another node.',
    () => placement.counts.told,
  );
  metrics.gauge(
    'tailrace_fanout_migrations',
    'Clients still to be told after partitions have changed hands.',
    () => migration.waiting,
  );
}
