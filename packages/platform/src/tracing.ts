import { type Clock, systemClock } from './clock.ts';
import type { Log } from './log.ts';

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** What a span hangs on. Both are `traceparent` texts; malformed ones are ignored, as W3C Trace Context asks. */
export interface SpanOrigin {
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
  /** Spans begun inside the call, its awaits included, hang on this one. */
  run<T>(call: () => T): T;
  /** Every span is ended, once. */
  end(): void;
}

/**
 * Traces of what happens to a batch. In a hot path: `if (tracing.enabled && tracing.sampled()) …`, once a batch, never once a reading. Names
 * of spans are fixed words; a device ID is neither in a name nor in an attribute.
 */
export interface Tracing {
  /** A plain field, false where no endpoint is set: everything else costs nothing then. */
  readonly enabled: boolean;
  /**
   * Whether this batch is to be traced: decided by chance, or by whoever began the trace (`parent`), and never more than a hundred times
   * a second, whatever strangers put into their headers.
   */
  sampled(parent?: string): boolean;
  span(name: string, attributes?: SpanAttributes, origin?: SpanOrigin): Span;
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
  readonly log: Log;
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

export const noTracing: Tracing = {
  enabled: false,
  sampled: () => false,
  span: () => noSpan,
  stop: async () => {},
};

/** Tracing by OpenTelemetry, whose code is loaded only where an endpoint is set. */
export async function createTracing(options: TracingOptions): Promise<Tracing> {
  if (options.url === '') return noTracing;
  const { createOtlpTracing } = await import('./otlptracing.ts');
  return createOtlpTracing({ ...options, clock: options.clock ?? systemClock, random: options.random ?? Math.random });
}
