import type { Connections } from './connections.ts';
import type { Metrics } from './metrics.ts';

/**
 * Registers how near the connections of an HTTP server are to their limit, and what the limit costs. `read`: undefined
 * before the server is created.
 */
export function registerConnectionMetrics(metrics: Metrics, read: () => Connections | undefined): void {
  const prefix = `tailrace_${metrics.service}`;
  metrics.gauge(`${prefix}_connections`, 'Connections.', () => read()?.size ?? 0);
  metrics.gauge(`${prefix}_limit_connections`, 'Connections: the limit.', () => read()?.limit ?? Number.NaN);
  metrics.gauge(
    `${prefix}_incomplete_connections`,
    'Connections that have not sent a whole request.',
    () => read()?.incomplete ?? 0,
  );
  metrics.total(
    `${prefix}_evicted_connections_total`,
    'Connections closed to make room for new ones.',
    () => read()?.counts.evicted ?? 0,
  );
  metrics.total(
    `${prefix}_refused_connections_total`,
    'New connections closed because all others were serving requests.',
    () => read()?.counts.refused ?? 0,
  );
  metrics.total(
    `${prefix}_unread_answers_total`,
    'Connections closed because their client did not read its answer.',
    () => read()?.counts.unread ?? 0,
  );
}
