import type { Metrics } from '@tailrace/platform/metrics';
import type { Simulator } from './app.ts';

/** Registers the metrics: how full the queue of reports is, and the outcomes of publishing. */
export function registerMetrics(metrics: Metrics, simulator: Simulator): void {
  const stats = () => simulator.stats();
  metrics.gauge('tailrace_simulator_queued_reports', 'Reports that wait for an answer.', () => stats().queuedReports);
  metrics.gauge('tailrace_simulator_limit_queued_reports', 'Reports that may wait.', () => stats().queuedReportsMax);
  metrics.gauge('tailrace_simulator_queued_bytes', 'Bytes that wait for an answer.', () => stats().queuedBytes);
  metrics.gauge('tailrace_simulator_limit_queued_bytes', 'Bytes that may wait.', () => stats().queuedBytesMax);
  metrics.total('tailrace_simulator_accepted_reports_total', 'Reports in the log.', () => stats().accepted);
  metrics.total('tailrace_simulator_refused_reports_total', 'Reports that ingest refused.', () => stats().refused);
  metrics.total('tailrace_simulator_retries_total', 'Requests that were retried.', () => stats().retries);
}
