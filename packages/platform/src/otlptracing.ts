import * as api from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
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
import type { Log } from './log.ts';
import { parseTraceparent, traceparentFrom } from './traceparent.ts';
import { createTraceSampling } from './tracesampling.ts';
import type { Span, SpanAttributes, SpanOrigin, Tracing, TracingOptions } from './tracing.ts';

/** Spans waiting to be sent; beyond that new ones are dropped. */
const queuedSpansMax = 2_048;
const exportMs = 5_000;
const linksMax = 128;
/** A collector that is down is reported this often, no more. */
const faultLogMs = 60_000;

/**
 * Tracing through the OpenTelemetry SDK. Import this file dynamically, through tracing.ts, and only where tracing is on.
 *
 * Nothing global is registered: two services in one process trace apart, and no library begins to trace by itself.
 */
export function createOtlpTracing(options: Required<TracingOptions>): Tracing {
  const { clock, log, service, node } = options;
  const exporter = reporting(new OTLPTraceExporter({ url: options.url, timeoutMillis: exportMs }), log, clock);
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': `tailrace-${service}`, 'service.instance.id': node }),
    sampler: new AlwaysOnSampler(),
    spanLimits: {
      attributeCountLimit: 32,
      attributeValueLengthLimit: 256,
      linkCountLimit: linksMax,
      eventCountLimit: 8,
    },
    spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: queuedSpansMax, exportTimeoutMillis: exportMs })],
  });
  const tracer = provider.getTracer('tailrace');
  const contexts = new AsyncLocalStorageContextManager().enable();
  return {
    enabled: true,
    sampled: createTraceSampling(options.sampleRatio, clock, options.random),
    span(name, attributes = {}, origin = {}) {
      const context = contextOf(origin, contexts.active());
      const links = (origin.links ?? []).slice(0, linksMax).flatMap((link) => linkFrom(link));
      return spanFrom(
        tracer.startSpan(name, { attributes: { ...attributes } satisfies SpanAttributes, links }, context),
        context,
        contexts,
      );
    },
    async stop() {
      await withinDeadline(clock, exportMs, () => provider.shutdown()).catch((error) =>
        log.warn({ error }, 'the last traces were not sent'),
      );
      contexts.disable();
    },
  };
}

function contextOf(origin: SpanOrigin, active: api.Context): api.Context {
  const parent = origin.parent === undefined ? undefined : spanContextFrom(origin.parent);
  return parent ? api.trace.setSpanContext(api.ROOT_CONTEXT, parent) : active;
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

function spanFrom(span: api.Span, parent: api.Context, contexts: AsyncLocalStorageContextManager): Span {
  const { traceId, spanId } = span.spanContext();
  return {
    traceparent: traceparentFrom({ traceId, spanId, sampled: true }),
    set: (name, value) => void span.setAttribute(name, value),
    fail(error) {
      span.setStatus({
        code: api.SpanStatusCode.ERROR,
        message: error instanceof Error ? error.message : String(error),
      });
    },
    run: (call) => contexts.with(api.trace.setSpan(parent, span), call),
    end: () => span.end(),
  };
}

/** The SDK keeps a failing export to itself; an operator who has set an endpoint wants to know. */
function reporting(exporter: SpanExporter, log: Log, clock: Clock): SpanExporter {
  let lastFaultMs = Number.NEGATIVE_INFINITY;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        if (result.code !== 0 && clock.monotonic() - lastFaultMs >= faultLogMs) {
          lastFaultMs = clock.monotonic();
          log.warn(
            { error: result.error, spans: spans.length },
            'traces were not sent; check tracingUrl and the collector',
          );
        }
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}
