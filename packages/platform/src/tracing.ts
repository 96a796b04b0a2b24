import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import type { SpanCounts } from './span-queue.ts';

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/**
 * What a span is to the others of its trace, in OpenTelemetry's words: `server` answers a request, `producer` hands messages on to be worked
 * through later, `consumer` works through them. Default: `internal`, a step of the span above it.
 */
export type SpanKind = 'internal' | 'server' | 'producer' | 'consumer';

/** `parent` and `links` are `traceparent` texts; malformed ones are ignored, as W3C Trace Context asks. */
export interface SpanOptions {
  readonly kind?: SpanKind;
  /** Default: the span whose `run` is on the stack, else none. */
  readonly parent?: string | undefined;
  /** The traces that go into a batch: a batch has many origins and no parent. At most 128 count. */
  readonly links?: readonly string[];
}

export interface Span {
  /** For the header of whatever this span causes; empty where nothing is recorded. */
  readonly traceparent: string;
  set(name: string, value: string | number | boolean): void;
  /** Marks the span as failed. */
  fail(error: unknown): void;
  /**
   * Calls, and returns what the call returns. Spans begun and lines logged inside belong to this span; what comes after an `await` inside does
   * not: following that would cost every promise of the process, traced or not.
   */
  run<T>(call: () => T): T;
  /** Every span is ended, once. */
  end(): void;
}

/** The fields of a log line that say to which span it belongs, by OpenTelemetry's names for logs in JSON. */
export interface TraceFields {
  readonly trace_id?: string;
  readonly span_id?: string;
}

/**
 * Traces of what happens to a batch. In a hot path: `if (tracing.enabled && tracing.sampled()) …`, once a batch, never once a reading. Names
 * of spans are fixed words; a device ID is neither in a name nor in an attribute. Names and attributes are those of OpenTelemetry's semantic
 * conventions where they have one, else begin with `tailrace.`.
 */
export interface Tracing {
  /** A plain field, false where no endpoint is set: everything else costs nothing then. */
  readonly enabled: boolean;
  /**
   * Whether this batch is to be traced: decided by chance, or by whoever began the trace (`parent`), and never more than a hundred times
   * a second, whatever strangers put into their headers.
   */
  sampled(parent?: string): boolean;
  span(name: string, attributes?: SpanAttributes, options?: SpanOptions): Span;
  /** Of the span whose `run` is on the stack; nothing where there is none. */
  fields(): TraceFields;
  /** Where it is enabled. */
  readonly counts?: SpanCounts;
  /** Sends what is waiting, as far as the endpoint takes it within 5 s. */
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

/** What a service shows of its spans, where it is traced. */
export function registerTracingMetrics(metrics: Metrics, { counts }: Tracing): void {
  if (counts === undefined) return;
  const name = (rest: string) => `tailrace_${metrics.service}_${rest}`;
  metrics.gauge(name('waiting_spans'), 'Spans that have ended and are not sent yet.', () => counts.waiting);
  metrics.gauge(name('limit_waiting_spans'), 'Spans at which new ones are dropped.', () => counts.waitingMax);
  metrics.total(name('sent_spans_total'), 'Spans that the collector has taken.', () => counts.sent);
  metrics.total(name('failed_spans_total'), 'Spans that the collector did not take.', () => counts.failed);
  metrics.total(name('dropped_spans_total'), 'Spans dropped because too many waited.', () => counts.dropped);
}
