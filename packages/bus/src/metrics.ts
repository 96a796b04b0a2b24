import type { Metrics } from '@tailrace/platform/metrics';
import type { Bus } from './bus.ts';

/** Registers the pending bytes of the bus and their limit, its connections, and the messages that it dropped. */
export function registerBusMetrics(metrics: Metrics, bus: Pick<Bus, 'stats'>): void {
  const name = (rest: string) => `tailrace_${metrics.service}_bus_${rest}`;
  const stats = () => bus.stats();
  metrics.gauge(name('pending_bytes'), 'Bytes published and not yet written.', () => stats().pendingBytes);
  metrics.gauge(name('limit_pending_bytes'), 'Bytes at which publishing drops.', () => stats().pendingBytesMax);
  metrics.gauge(name('connections'), 'Connections to the bus: 1, or 0 during an outage.', () =>
    stats().connected ? 1 : 0,
  );
  metrics.total(
    name('opened_connections_total'),
    'Connections made: the first, and one more for each that was lost.',
    () => stats().connections,
  );
  metrics.total(name('dropped_messages_total'), 'Messages that publishing dropped.', () => stats().dropped);
}
