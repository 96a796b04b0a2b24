import { systemClock } from './clock.ts';
import { noTracing, type Tracing, type TracingOptions } from './tracing.ts';

/** Returns tracing by OpenTelemetry, whose code is loaded only if an endpoint is set. */
export async function createTracing(options: TracingOptions): Promise<Tracing> {
  if (options.url === '') return noTracing;
  const { createOtlpTracing } = await import('./otlp-tracing.ts');
  return createOtlpTracing({ ...options, clock: options.clock ?? systemClock, random: options.random ?? Math.random });
}
