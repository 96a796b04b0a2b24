import { registerConnectionMetrics } from '@tailrace/platform/connection-metrics';
import {
  batchBounds,
  type Counter,
  delayBoundsSeconds,
  type Histogram,
  sizeBoundsBytes,
} from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import { type HandshakeCounts, handshakesMax } from '@tailrace/platform/tls-listener';
import type { Admission, DeviceNames } from './admission.ts';
import { type Outcome, outcomes } from './answers.ts';
import type { IngestSettings } from './config.ts';
import { ratedDevicesMax } from './intake/report-rates.ts';
import type { ParsedBody } from './reports.ts';
import type { Transport } from './transport.ts';

/** The metrics of requests. */
export interface IngestMetrics {
  /** By outcome: the number, and the time from the head of a request to its answer. */
  readonly requests: Readonly<Record<Outcome, { readonly count: Counter; readonly seconds: Histogram }>>;
  readonly bodyBytes: Histogram;
  readonly streamBytes: Histogram;
  readonly appendSeconds: Histogram;
  readonly failedAppends: Counter;
  /** Counts a report of a session that is in the log. */
  countMessage(readings: number, isClockAhead: boolean): void;
  /** Counts a body whose records are in the log. */
  countAccepted(body: ParsedBody): void;
  countRejected(body: ParsedBody): void;
}

/** Up to the default of `streamBytesMax`. */
const streamBoundsBytes = [65_536, 1_048_576, 16_777_216, 268_435_456, 1_073_741_824, 4_294_967_296];

/** Codes of rejected reports; any other counts as `other`. */
const rejectionCodes = [
  'invalid_report',
  'invalid_path',
  'forbidden',
  'too_large',
  'limit_reached',
  'internal',
] as const;

export function createIngestMetrics(metrics: Metrics): IngestMetrics {
  const labels = { values: { outcome: outcomes } } as const;
  const counts = metrics.counters('tailrace_ingest_requests_total', 'Requests, by outcome.', labels);
  const durations = metrics.histograms(
    'tailrace_ingest_request_duration_seconds',
    'From the head of a request to its answer.',
    delayBoundsSeconds,
    labels,
  );
  const requests = Object.fromEntries(
    outcomes.map((outcome) => [outcome, { count: counts.with({ outcome }), seconds: durations.with({ outcome }) }]),
  ) as Record<Outcome, { count: Counter; seconds: Histogram }>;
  const reports = metrics.counter('tailrace_ingest_accepted_reports_total', 'Reports that are in the log.');
  const readings = metrics.counter('tailrace_ingest_accepted_readings_total', 'Readings of those reports.');
  const clockAhead = metrics.counter(
    'tailrace_ingest_clock_ahead_reports_total',
    'Accepted reports with a time further ahead than clockAheadMs: their devices have wrong clocks.',
  );
  const batches = metrics.histogram('tailrace_ingest_request_reports', 'Accepted reports of one request.', batchBounds);
  const rejected = metrics.counters('tailrace_ingest_rejected_reports_total', 'Reports that were refused, by code.', {
    values: { code: rejectionCodes },
  });
  return {
    requests,
    bodyBytes: metrics.histogram(
      'tailrace_ingest_request_body_bytes',
      'Bodies received, before they are unpacked.',
      sizeBoundsBytes,
    ),
    streamBytes: metrics.histogram(
      'tailrace_ingest_stream_bytes',
      'Bodies that were processed while they were received, unpacked.',
      streamBoundsBytes,
    ),
    appendSeconds: metrics.histogram(
      'tailrace_ingest_append_duration_seconds',
      'Time until the log has confirmed or refused.',
      delayBoundsSeconds,
    ),
    failedAppends: metrics.counter('tailrace_ingest_failed_appends_total', 'Appends that the log refused.'),
    countMessage(count, isClockAhead) {
      reports.add();
      readings.add(count);
      if (isClockAhead) clockAhead.add();
    },
    countAccepted(body) {
      reports.add(body.records.length);
      readings.add(body.readings);
      clockAhead.add(body.clockAhead);
      batches.observe(body.records.length);
    },
    countRejected(body) {
      for (const { code } of body.rejected) rejected.with({ code }).add();
    },
  };
}

/** Registers the limits, and how much of each is used. */
export function registerLimits(
  metrics: Metrics,
  admission: Admission,
  devices: DeviceNames,
  transport: Pick<Transport, 'connections' | 'bodies'>,
  settings: IngestSettings,
): void {
  const pairs = [
    ['in_flight_requests', 'Requests in progress', () => admission.requests, () => settings.inFlightRequestsMax],
    [
      'in_flight_bytes',
      'Bodies whose reports wait for the log',
      () => admission.bytes,
      () => settings.inFlightBytesMax,
    ],
    [
      'unfinished_body_bytes',
      'Incomplete bodies',
      () => transport.bodies.unfinishedBytes,
      () => settings.unfinishedBytesMax,
    ],
    [
      'token_requests',
      'Requests in progress of the sender that has most',
      () => admission.mostOfOneSender().requests,
      () => settings.requestsPerTokenMax,
    ],
    [
      'sender_bytes',
      'Bodies whose reports wait for the log, of the sender that has most',
      () => admission.mostOfOneSender().bytes,
      () => admission.senderBytesMax,
    ],
    [
      'address_connections',
      'Connections of the address that has most',
      () => transport.connections.mostOfOneAddress,
      () => settings.addressConnectionsMax,
    ],
    [
      'unverified_requests',
      'Requests that wait for the keys of their tokens',
      () => admission.unverified,
      () => settings.unverifiedRequestsMax,
    ],
    [
      'address_unverified_requests',
      'Requests that wait for the keys of their tokens, of the address that has most',
      () => admission.mostUnverifiedOfOneAddress(),
      () => settings.addressUnverifiedRequestsMax,
    ],
    [
      'streams',
      'Bodies in progress that are processed while they are received',
      () => admission.streams,
      () => settings.streamsMax,
    ],
    [
      'token_streams',
      'Bodies in progress that are processed while they are received, of the sender that has most',
      () => admission.mostOfOneSender().streams,
      () => settings.streamsPerTokenMax,
    ],
    ['devices', 'Distinct device names accepted since the start', () => devices.size, () => settings.devicesMax],
    [
      'tenant_devices',
      'Distinct device names accepted since the start, of the tenant that has most',
      () => devices.mostOfOneTenant,
      () => settings.devicesPerTenantMax,
    ],
  ] as const;
  for (const [name, help, read, limit] of pairs) {
    metrics.gauge(`tailrace_ingest_${name}`, `${help}.`, read);
    metrics.gauge(`tailrace_ingest_limit_${name}`, `${help}: the limit.`, limit);
  }
  // The histograms of these names have the use of the limits of single requests.
  metrics.gauge('tailrace_ingest_limit_request_body_bytes', 'A body: the limit.', () => settings.bodyBytesMax);
  metrics.gauge(
    'tailrace_ingest_limit_stream_bytes',
    'A body that is processed while it is received, unpacked: the limit.',
    () => settings.streamBytesMax,
  );
  metrics.gauge(
    'tailrace_ingest_limit_request_reports',
    'Reports of one request: the limit.',
    () => settings.reportsPerRequestMax,
  );
  registerConnectionMetrics(metrics, () => transport.connections);
  metrics.gauge(
    'tailrace_ingest_upgraded_connections',
    'Connections that are WebSockets of devices. Those with an authenticated device are not in tailrace_ingest_connections.',
    () => transport.connections.upgraded,
  );
  metrics.total(
    'tailrace_ingest_slow_bodies_total',
    'Bodies terminated before their deadline because the process was near a limit.',
    () => transport.bodies.terminated,
  );
}

/** `devices`: with a state of their rate. */
export function registerReportRates(metrics: Metrics, devices: () => number): void {
  const help = 'Devices that are remembered for the rate of their reports (deviceReportsPerSecond)';
  metrics.gauge('tailrace_ingest_rated_devices', `${help}.`, devices);
  metrics.gauge('tailrace_ingest_limit_rated_devices', `${help}: the limit.`, () => ratedDevicesMax);
}

/** `http` and `mqtt`: of the ports with TLS. Each has the limit of handshakes by itself. */
export function registerHandshakes(metrics: Metrics, http: () => HandshakeCounts, mqtt: () => HandshakeCounts): void {
  const name = (rest: string) => `tailrace_ingest_${rest}`;
  metrics.gauge(name('tls_handshakes'), 'TLS handshakes in progress.', () => http().pending);
  metrics.gauge(
    name('limit_tls_handshakes'),
    'TLS handshakes in progress: beyond the limit the oldest one is closed.',
    () => handshakesMax,
  );
  metrics.gauge(name('mqtt_tls_handshakes'), 'TLS handshakes of MQTT clients in progress.', () => mqtt().pending);
  const totals = [
    ['failed_tls_handshakes_total', 'TLS handshakes that failed.', 'failed'],
    [
      'evicted_tls_handshakes_total',
      'TLS handshakes that were closed because newer ones exceeded the limit.',
      'evicted',
    ],
    [
      'revoked_client_certificates_total',
      'Connections with TLS that were closed because tlsClientCrlFile has the certificate of the client.',
      'revoked',
    ],
    ['failed_tls_reads_total', 'Reads of changed TLS files that failed; the former ones stay in use.', 'failedReads'],
  ] as const;
  for (const [rest, help, count] of totals) metrics.total(name(rest), help, () => http()[count] + mqtt()[count]);
  metrics.gauge(
    name('tls_certificate_expiry_timestamp_seconds'),
    'When the certificate of the port with TLS expires, in seconds since 1970; infinite without TLS.',
    () => Math.min(http().expiresAt, mqtt().expiresAt) / 1_000,
  );
  metrics.gauge(
    name('tls_client_crl_expiry_timestamp_seconds'),
    'When the first revocation list of tlsClientCrlFile expires, in seconds since 1970; infinite without one.',
    () => Math.min(http().listsExpireAt, mqtt().listsExpireAt) / 1_000,
  );
}
