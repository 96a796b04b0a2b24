import { Counter, Gauge, Rate, Trend } from 'k6/metrics';

/** What the scenarios measure. Counters are added to once a second by each VU, not at each report: a sample costs k6 more than a report. */
export const measures = {
  /** Reports shown to clients, each once. */
  reports: new Counter('tailrace_reports'),
  frames: new Counter('tailrace_frames'),
  gaps: new Counter('tailrace_gaps'),
  duplicates: new Counter('tailrace_duplicates'),
  foreign: new Counter('tailrace_foreign'),
  named: new Counter('tailrace_named'),
  repeats: new Counter('tailrace_repeats'),
  /** Devices whose last report a client was not shown. */
  undelivered: new Counter('tailrace_undelivered'),
  /** Of each VU: reports shown (`ingest`: sent), as a part of those that were to be. */
  throughput: new Trend('tailrace_throughput'),
  latency: new Trend('tailrace_latency', true),
  /** Of each client the latest of all its reports: where a connection or a node is gone for x ms, a report is x ms late. */
  pause: new Trend('tailrace_pause', true),
  /** From reading a frame to looking into it: k6's own lateness, which the latencies have in them. */
  ownLag: new Trend('tailrace_own_lag', true),
  connect: new Trend('tailrace_connect', true),
  refusals: new Counter('tailrace_refusals'),
  losses: new Counter('tailrace_losses'),
  moves: new Counter('tailrace_moves'),
  reconnect: new Trend('tailrace_reconnect', true),
  clockOffset: new Gauge('tailrace_clock_offset'),
  published: new Counter('tailrace_published'),
  publishFailures: new Rate('tailrace_publish_failures'),
  publishLag: new Trend('tailrace_publish_lag', true),
  /** Reports to be delivered a second, as the load is now. */
  level: new Gauge('tailrace_level'),
  slowNamed: new Counter('tailrace_slow_named'),
  slowReports: new Counter('tailrace_slow_reports'),
} as const;
