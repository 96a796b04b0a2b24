import { Counter, Gauge, Rate, Trend } from 'k6/metrics';

/** The metrics of the scenarios. Each VU adds to counters once a second: a sample costs k6 more than a report. */
export const measures = {
  /** Reports delivered to clients, each once. */
  reports: new Counter('tailrace_reports'),
  frames: new Counter('tailrace_frames'),
  gaps: new Counter('tailrace_gaps'),
  duplicates: new Counter('tailrace_duplicates'),
  invalid: new Counter('tailrace_invalid'),
  named: new Counter('tailrace_named'),
  repeats: new Counter('tailrace_repeats'),
  /** Devices whose last report a client did not receive. */
  undelivered: new Counter('tailrace_undelivered'),
  /** Of each VU: reports delivered (`ingest`: sent), as a part of those expected. */
  throughput: new Trend('tailrace_throughput'),
  latency: new Trend('tailrace_latency', true),
  /** Of each client the highest latency: if a connection or a node is down for x ms, a report is x ms late. */
  pause: new Trend('tailrace_pause', true),
  /** From reading a frame to decoding it: k6's own lag, which latencies include. */
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
  /** Reports to deliver a second at the current load. */
  level: new Gauge('tailrace_level'),
  slowNamed: new Counter('tailrace_slow_named'),
  slowReports: new Counter('tailrace_slow_reports'),
} as const;
