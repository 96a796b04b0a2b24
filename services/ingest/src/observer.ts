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
  /** The topic of reports, for spans. */
  readonly topic: string;
  /** The system of the event log, for spans. Undefined: within this process. */
  readonly system: string | undefined;
}

/** Records requests in metrics and traces. */
export class Observer {
  readonly #options: ObserverOptions;

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  /** Called for each request with a complete head. */
  request(): RequestObservation {
    return new RequestObservation(this.#options);
  }

  /** Called for each request that the transport refuses. */
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

  /** Starts a span if the request is sampled. `traceparent`: of its header, whose decision counts; '' for none. */
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

  /** Called at the end of a body that was processed while it was received, with its unpacked bytes. */
  streamReceived(bytes: number): void {
    this.#options.metrics.streamBytes.observe(bytes);
    this.#span.set('http.request.body.size', bytes);
  }

  /** Returns what the call returns. Lines logged within it have the trace. */
  run<T>(call: () => T): T {
    return this.#span === noSpan ? call() : this.#span.run(call);
  }

  parsed(body: ParsedBody): void {
    if (body.rejected.length > 0) this.#options.metrics.countRejected(body);
  }

  /** Called before the records are appended. */
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

  /** Records an error of the server in the span. Errors of the sender are not recorded. */
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

/** The append of one request, including the wait for earlier requests of its sender. */
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

  /** The header of the records, by which their readers link to the trace; '' for none. */
  get traceparent(): string {
    return this.#span.traceparent;
  }

  /** Called when the sender is refused. Lines logged within the call have the trace. */
  refused<T>(call: () => T): T {
    this.#metrics.failedAppends.add();
    return this.#span.run(call);
  }

  /** Called when the log has confirmed the records, or has failed. */
  settled(error?: unknown): void {
    if (error !== undefined) this.#span.fail(error);
    this.#metrics.appendSeconds.observe((this.#clock.monotonic() - this.#startMs) / 1_000, this.#span.traceparent);
    this.#span.end();
  }
}
