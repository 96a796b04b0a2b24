import type { Metrics } from '@tailrace/platform/metrics';
import type { Database } from './database.ts';

/** Registers the connections of the database with their limit, and the callers that wait, with theirs. */
export function registerDatabaseMetrics(metrics: Metrics, database: Pick<Database, 'stats'>): void {
  const name = (rest: string) => `tailrace_${metrics.service}_database_${rest}`;
  const stats = () => database.stats();
  metrics.gauge(name('reachable_servers'), 'Servers that accept connections: 1, or 0 during an outage.', () =>
    stats().connected ? 1 : 0,
  );
  metrics.gauge(
    name('open_connections'),
    'Connections to the database, idle ones included.',
    () => stats().connections,
  );
  metrics.gauge(name('connections'), 'Connections in use.', () => stats().busy);
  metrics.gauge(name('limit_connections'), 'Connections at which further callers wait.', () => stats().connectionsMax);
  metrics.gauge(name('waiting_calls'), 'Calls that wait for a connection.', () => stats().waiting);
  metrics.gauge(
    name('limit_waiting_calls'),
    'Waiting calls at which further ones are refused.',
    () => stats().waitingMax,
  );
  metrics.total(
    name('refused_calls_total'),
    'Calls refused because too many waited, or because they waited too long.',
    () => stats().refused,
  );
  metrics.total(name('lost_connections_total'), 'Connections that were lost.', () => stats().lost);
}
