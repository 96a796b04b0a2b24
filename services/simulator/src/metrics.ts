import type { Metrics } from '@tailrace/platform/metrics';
import type { Simulator } from './app.ts';

/** What the simulator's page of metrics shows: the queue before it overflows, and what came of what was sent. */
export function registerMetrics(metrics: Metrics, simulator: Simulator): void {
  const stats = () => simulator.stats();
  metrics.gauge('tailrace_simulator_queued_reports', 'Reports that wait to be answered.', () => stats().queuedReports);
  metrics.gauge('tailrace_simulator_limit_queued_reports', 'Reports that may wait.', () => stats().queuedReportsMax);
  metrics.gauge('tailrace_simulator_queued_bytes', 'Bytes that wait to be answered.', () => stats().queuedBytes);
  metrics.gauge('tailrace_simulator_limit_queued_bytes', 'Bytes that may wait.', () => stats().queuedBytesMax);
  metrics.total('tailrace_simulator_accepted_reports_total', 'Reports in the log.', () => stats().accepted);
  metrics.total('tailrace_simulator_refused_reports_total', 'Reports that ingest refused.', () => stats().refused);
  metrics.total('tailrace_simulator_retries_total', 'Requests that had to be sent again.', () => stats().retries);
}
