import * as api from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import type { Clock } from './clock.ts';
import { withinDeadline } from './deadline.ts';
import { LimitedWarning } from './limited-warning.ts';
import type { Logger } from './logger.ts';
import { SpanQueue } from './span-queue.ts';
import { createTraceSampling } from './trace-sampling.ts';
import { parseTraceparent, traceparentFrom } from './traceparent.ts';
import type { Span, SpanAttributes, SpanKind, SpanOptions, TraceFields, Tracing, TracingOptions } from './tracing.ts';
import { version } from './version.ts';

/** Spans waiting to be exported; beyond it new ones are dropped. */
const queuedSpansMax = 2_048;
const exportMs = 5_000;
const linksMax = 128;
/** Shortest time between two warnings of failed exports, ms. */
const warningEveryMs = 60_000;

const kinds: Readonly<Record<SpanKind, api.SpanKind>> = {
  internal: api.SpanKind.INTERNAL,
  server: api.SpanKind.SERVER,
  producer: api.SpanKind.PRODUCER,
  consumer: api.SpanKind.CONSUMER,
};
const noFields: TraceFields = {};

/**
 * Returns tracing by the OpenTelemetry SDK. Imported dynamically, by create-tracing.ts, if tracing is on.
 *
 * Nothing global is registered: two services in one process have separate traces, and no library starts to trace by
 * itself.
 */
export function createOtlpTracing(options: Required<TracingOptions>): Tracing {
  const { clock, logger, service, node } = options;
  const queue = new SpanQueue(queuedSpansMax);
  const exporter = new OTLPTraceExporter({ url: options.url, timeoutMillis: exportMs });
  const batching = new BatchSpanProcessor(queue.counted(logging(exporter, logger, clock)), {
    maxQueueSize: queuedSpansMax,
    exportTimeoutMillis: exportMs,
  });
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      'service.name': `tailrace-${service}`,
      'service.version': version,
      'service.instance.id': node,
    }),
    sampler: new AlwaysOnSampler(),
    spanLimits: {
      attributeCountLimit: 32,
      attributeValueLengthLimit: 256,
      linkCountLimit: linksMax,
      eventCountLimit: 8,
    },
    spanProcessors: [queue.bounded(batching)],
  });
  const tracer = provider.getTracer('tailrace', version);
  const running = new Running();
  return {
    enabled: true,
    counts: queue.counts,
    sampled: createTraceSampling(options.sampleRatio, clock, options.random),
    span(name, attributes = {}, { kind = 'internal', parent, links = [], ageMs } = {}) {
      const span = tracer.startSpan(
        name,
        {
          kind: kinds[kind],
          attributes: { ...attributes } satisfies SpanAttributes,
          links: links.slice(0, linksMax).flatMap((link) => linkFrom(link)),
          ...(ageMs === undefined ? {} : { startTime: clock.now() - ageMs }),
        },
        contextOf(parent, running.span),
      );
      return spanFrom(span, running);
    },
    fields() {
      const context = running.span?.spanContext();
      return context === undefined ? noFields : { trace_id: context.traceId, span_id: context.spanId };
    },
    async stop() {
      await withinDeadline(clock, exportMs, () => provider.shutdown()).catch((error) =>
        logger.warn({ error }, 'the last traces were not sent'),
      );
    },
  };
}

/** The span whose `run` is on the stack. A plain field: the SDK's own context manager adds hooks to every promise. */
class Running {
  span: api.Span | undefined;

  within<T>(span: api.Span, call: () => T): T {
    const outer = this.span;
    this.span = span;
    try {
      return call();
    } finally {
      this.span = outer;
    }
  }
}

function contextOf(parent: SpanOptions['parent'], running: api.Span | undefined): api.Context {
  const context = parent === undefined ? running?.spanContext() : spanContextFrom(parent);
  return context === undefined ? api.ROOT_CONTEXT : api.trace.setSpanContext(api.ROOT_CONTEXT, context);
}

function spanContextFrom(traceparent: string): api.SpanContext | undefined {
  const position = parseTraceparent(traceparent);
  if (!position) return undefined;
  const { traceId, spanId, sampled } = position;
  return { traceId, spanId, traceFlags: sampled ? api.TraceFlags.SAMPLED : api.TraceFlags.NONE, isRemote: true };
}

function linkFrom(traceparent: string): api.Link[] {
  const context = spanContextFrom(traceparent);
  return context ? [{ context }] : [];
}

function spanFrom(span: api.Span, running: Running): Span {
  const { traceId, spanId } = span.spanContext();
  return {
    traceparent: traceparentFrom({ traceId, spanId, sampled: true }),
    set: (name, value) => void span.setAttribute(name, value),
    fail(error) {
      span.setAttribute('error.type', errorTypeOf(error));
      span.setStatus({
        code: api.SpanStatusCode.ERROR,
        message: error instanceof Error ? error.message : String(error),
      });
    },
    run: (call) => running.within(span, call),
    end: () => span.end(),
  };
}

/** Returns one of few values, as the semantic conventions require: the code of Tailrace or Node.js, or the class. */
function errorTypeOf(error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER';
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : error.name;
}

/** Returns an exporter that logs failed exports, which the SDK does not. */
function logging(exporter: SpanExporter, logger: Logger, clock: Clock): SpanExporter {
  const sentence = 'traces were not sent; check tracingUrl and the collector';
  const warning = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        if (result.code !== 0) warning.write(() => ({ error: result.error, spans: spans.length }));
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}
