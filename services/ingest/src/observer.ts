import type { Clock } from '@tailrace/platform/clock';
import { noSpan, type Span, type Tracing } from '@tailrace/platform/tracing';
import type { Outcome } from './answers.ts';
import type { IngestMetrics } from './metrics.ts';
import type { ParsedBody } from './reports.ts';

/*
 * Span names, kinds and attributes are those of OpenTelemetry:
 * https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and
 * https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/.
 */

const requestAttributes = {
  'http.request.method': 'POST',
  'http.route': '/v1/ingest',
  'url.path': '/v1/ingest',
  'url.scheme': 'http',
};

export interface ObserverOptions {
  readonly metrics: IngestMetrics;
  readonly tracing: Tracing;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Where reports go, for spans. */
  readonly topic: string;
  /** The system of the event log, for spans. Undefined: the one of this process. */
  readonly system: string | undefined;
}

/** Records requests in metrics and traces. What it observes does not depend on it. */
export class Observer {
  readonly #options: ObserverOptions;

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  /** A request has a whole head. */
  request(): RequestObservation {
    return new RequestObservation(this.#options);
  }

  /** The transport has refused bytes before they became a request. */
  refused(outcome: Outcome): void {
    this.#options.metrics.requests[outcome].count.add();
  }
}

/** One request, from its head to its answer. */
export class RequestObservation {
  readonly #options: ObserverOptions;
  readonly #startMs: number;
  #span = noSpan;

  constructor(options: ObserverOptions) {
    this.#options = options;
    this.#startMs = options.clock.monotonic();
  }

  /** The request has reports. `traceparent`: of its header; '' for none. A sender that traces is followed. */
  trace(traceparent: string): void {
    const { tracing } = this.#options;
    const parent = traceparent === '' ? undefined : traceparent;
    if (!tracing.enabled || !tracing.sampled(parent)) return;
    this.#span = tracing.span('POST /v1/ingest', requestAttributes, { parent, kind: 'server' });
  }

  bodyReceived(bytes: number): void {
    this.#options.metrics.bodyBytes.observe(bytes);
    this.#span.set('http.request.body.size', bytes);
  }

  /** Calls, and returns what the call returns. Lines logged inside name the trace. */
  run<T>(call: () => T): T {
    return this.#span === noSpan ? call() : this.#span.run(call);
  }

  parsed(body: ParsedBody): void {
    if (body.rejected.length > 0) this.#options.metrics.countRejected(body);
  }

  /** The log is given this number of records. */
  append(records: number): AppendObservation {
    const { metrics, tracing, clock, topic, system } = this.#options;
    if (this.#span === noSpan) return new AppendObservation(metrics, clock, noSpan);
    const attributes = {
      'messaging.system': system ?? 'tailrace',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': topic,
      'messaging.batch.message_count': records,
    };
    const span = tracing.span(`send ${topic}`, attributes, { parent: this.#span.traceparent, kind: 'producer' });
    return new AppendObservation(metrics, clock, span);
  }

  accepted(body: ParsedBody): void {
    this.#options.metrics.countAccepted(body);
  }

  /** A fault of the server; those of the sender do not mark the span. */
  failed(error: unknown): void {
    this.#span.fail(error);
  }

  answered(status: number, outcome: Outcome): void {
    const { metrics, clock } = this.#options;
    const { count, seconds } = metrics.requests[outcome];
    count.add();
    seconds.observe((clock.monotonic() - this.#startMs) / 1_000, this.#span.traceparent);
    if (this.#span === noSpan) return;
    this.#span.set('http.response.status_code', status);
    this.#span.set('tailrace.outcome', outcome);
    this.#span.end();
  }
}

/** The records of one request on their way into the log, the wait for others of their sender included. */
export class AppendObservation {
  readonly #metrics: Pick<IngestMetrics, 'appendSeconds' | 'failedAppends'>;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #startMs: number;
  readonly #span: Span;

  constructor(
    metrics: Pick<IngestMetrics, 'appendSeconds' | 'failedAppends'>,
    clock: Pick<Clock, 'monotonic'>,
    span: Span,
  ) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#startMs = clock.monotonic();
    this.#span = span;
  }

  /** For the headers of the records, so that whoever reads them links to the trace; '' for none. */
  get traceparent(): string {
    return this.#span.traceparent;
  }

  /** The sender has been refused. Lines logged inside the call name the trace. */
  refused<T>(call: () => T): T {
    this.#metrics.failedAppends.add();
    return this.#span.run(call);
  }

  /** The log has confirmed the records, or has failed. */
  settled(error?: unknown): void {
    if (error !== undefined) this.#span.fail(error);
    this.#metrics.appendSeconds.observe((this.#clock.monotonic() - this.#startMs) / 1_000, this.#span.traceparent);
    this.#span.end();
  }
}
