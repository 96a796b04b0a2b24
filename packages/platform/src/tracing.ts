import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import type { SpanCounts } from './span-queue.ts';

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/**
 * The kind of a span, as in OpenTelemetry: `server` handles a request, `producer` sends messages that are processed
 * later, `consumer` processes them. Default: `internal`, a step of its parent.
 */
export type SpanKind = 'internal' | 'server' | 'producer' | 'consumer';

/** `parent` and `links` are `traceparent` texts; malformed ones are ignored, as in W3C Trace Context. */
export interface SpanOptions {
  readonly kind?: SpanKind;
  /** Default: the span whose `run` is on the stack, else none. */
  readonly parent?: string | undefined;
  /** The traces of a batch, which has many origins and no parent. At most 128 are used. */
  readonly links?: readonly string[];
  /** How long ago it has started, ms. Default: now. */
  readonly ageMs?: number;
}

export interface Span {
  /** For the header of requests that this span causes; empty if nothing is recorded. */
  readonly traceparent: string;
  set(name: string, value: string | number | boolean): void;
  /** Sets the status of the span to error. */
  fail(error: unknown): void;
  /**
   * Calls, and returns the result. Spans started and lines logged within the call belong to this span. After an `await`
   * they do not: that would add a cost to every promise of the process, traced or not.
   */
  run<T>(call: () => T): T;
  /** Must be called once for every span. */
  end(): void;
}

/** The fields of a log line for its span, with OpenTelemetry's names for logs in JSON. */
export interface TraceFields {
  readonly trace_id?: string;
  readonly span_id?: string;
}

/**
 * Traces of batches. In hot paths: `if (tracing.enabled && tracing.sampled()) …`, once per batch, never per reading.
 * Names of spans are constant; a device ID is neither in a name nor in an attribute. Names and attributes are those of
 * OpenTelemetry's semantic conventions if there is one, else with the prefix `tailrace.`.
 */
export interface Tracing {
  /** A plain field, false without an endpoint: then nothing else has a cost. */
  readonly enabled: boolean;
  /**
   * Returns whether to trace a batch: by chance, or if `parent` is sampled; at most 100 times a second, for any headers
   * of clients.
   */
  sampled(parent?: string): boolean;
  span(name: string, attributes?: SpanAttributes, options?: SpanOptions): Span;
  /** Returns the fields of the span whose `run` is on the stack; none without one. */
  fields(): TraceFields;
  /** Defined if tracing is enabled. */
  readonly counts?: SpanCounts;
  /** Exports the waiting spans that the endpoint accepts within 5 s. */
  stop(): Promise<void>;
}

export interface TracingOptions {
  readonly service: string;
  readonly node: string;
  /** OTLP/HTTP endpoint, `http://collector:4318/v1/traces`; empty: off. */
  readonly url: string;
  /** 0 to 1. */
  readonly sampleRatio: number;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** In [0, 1). Default: Math.random. */
  readonly random?: () => number;
}

export const noSpan: Span = {
  traceparent: '',
  set() {},
  fail() {},
  run: (call) => call(),
  end() {},
};

const noFields: TraceFields = {};

export const noTracing: Tracing = {
  enabled: false,
  sampled: () => false,
  span: () => noSpan,
  fields: () => noFields,
  stop: async () => {},
};

/** Registers the counts of spans, if tracing is enabled. */
export function registerTracingMetrics(metrics: Metrics, { counts }: Tracing): void {
  if (counts === undefined) return;
  const name = (rest: string) => `tailrace_${metrics.service}_${rest}`;
  metrics.gauge(name('waiting_spans'), 'Finished spans that are not sent yet.', () => counts.waiting);
  metrics.gauge(name('limit_waiting_spans'), 'Spans at which new ones are dropped.', () => counts.waitingMax);
  metrics.total(name('sent_spans_total'), 'Spans that the collector has accepted.', () => counts.sent);
  metrics.total(name('failed_spans_total'), 'Spans that the collector did not accept.', () => counts.failed);
  metrics.total(name('dropped_spans_total'), 'Spans dropped because too many waited.', () => counts.dropped);
}
