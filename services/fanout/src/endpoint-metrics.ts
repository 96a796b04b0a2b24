import type { Clock } from '@tailrace/platform/clock';
import { delayBoundsSeconds } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import type { ErrorCode } from '@tailrace/protocol/error';

/** The HTTP endpoints of a fanout node, without the stream. */
const endpoints = ['route', 'devices', 'revocations', 'notice', 'command-switch', 'credentials'] as const;
export type EndpointName = (typeof endpoints)[number];

/** The results of these requests. Any other code counts as `internal`. */
const codes: readonly ('ok' | ErrorCode)[] = [
  'ok',
  'invalid_path',
  'invalid_pattern',
  'invalid_message',
  'unauthorized',
  'forbidden',
  'not_found',
  'too_large',
  'rate_limited',
  'limit_reached',
  'unavailable',
  'timeout',
  'closed',
  'internal',
];

/** Called when the request is answered. */
export type Answered = (code: 'ok' | ErrorCode) => void;

/** Counts requests by endpoint and result, and measures their duration by endpoint. */
export class EndpointMetrics {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #count: (endpoint: EndpointName, code: string, seconds: number) => void;

  constructor(metrics: Metrics, clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
    const requests = metrics.counters('tailrace_fanout_http_requests_total', 'HTTP requests, by result.', {
      values: { endpoint: endpoints, code: codes },
    });
    const durations = metrics.histograms(
      'tailrace_fanout_http_request_duration_seconds',
      'From the head of an HTTP request to its answer.',
      delayBoundsSeconds,
      { values: { endpoint: endpoints } },
    );
    this.#count = (endpoint, code, seconds) => {
      requests.with({ endpoint, code }).add();
      durations.with({ endpoint }).observe(seconds);
    };
  }

  start(endpoint: EndpointName): Answered {
    const startMs = this.#clock.monotonic();
    return (code) => {
      const counted = codes.includes(code) ? code : 'internal';
      this.#count(endpoint, counted, (this.#clock.monotonic() - startMs) / 1_000);
    };
  }
}
