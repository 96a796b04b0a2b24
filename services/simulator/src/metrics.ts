import type { Metrics } from '@tailrace/platform/metrics';
import type { Simulator } from './app.ts';

/** What the simulator's page of metrics shows: the queue before it overflows, and what came of what was sent. */
export function registerMetrics(metrics: Metrics, simulator: Simulator): void {
  const stats = () => simulator.stats();
  metrics.gauge('tailrace_simulator_queued_reports', 'Reports that wait to be answered.', () => stats().queuedReports);
  metrics.gauge('tailrace_simulator_queued_max_reports', 'Reports that may wait.', () => stats().queuedReportsMax);
  metrics.gauge('tailrace_simulator_queued_bytes', 'Bytes that wait to be answered.', () => stats().queuedBytes);
  metrics.gauge('tailrace_simulator_queued_max_bytes', 'Bytes that may wait.', () => stats().queuedBytesMax);
  metrics.gauge('tailrace_simulator_accepted_reports', 'Reports in the log, since the start.', () => stats().accepted);
  metrics.gauge(
    'tailrace_simulator_refused_reports',
    'Reports that ingest refused, since the start.',
    () => stats().refused,
  );
  metrics.gauge(
    'tailrace_simulator_retries',
    'Requests that had to be sent again, since the start.',
    () => stats().retries,
  );
}
