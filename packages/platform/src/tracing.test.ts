import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { test } from 'node:test';
import { createManualClock } from '../test/manual-clock.ts';
import { silentLogger } from './logger.ts';
import { createTraceSampling } from './trace-sampling.ts';
import { parseTraceparent, traceparentFrom } from './traceparent.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const sampledParent = `00-${traceId}-${spanId}-01`;

test('without an endpoint the SDK is not loaded, and nothing is traced', async () => {
  const loaded: string[] = [];
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      loaded.push(specifier);
      return next(specifier, context);
    },
  });
  const { createTracing } = await import('./create-tracing.ts');
  const tracing = await createTracing({ service: 'ingest', node: 'n0', url: '', sampleRatio: 1, logger: silentLogger });
  hooks.deregister();
  assert.ok(loaded.includes('./tracing.ts'), 'the hook was called');
  assert.deepEqual(
    loaded.filter((specifier) => /opentelemetry|otlp/.test(specifier)),
    [],
  );
  assert.equal(tracing.enabled, false);
  assert.equal(tracing.sampled(sampledParent), false);
  const span = tracing.span('batch', { reports: 3 });
  assert.equal(span.traceparent, '');
  assert.equal(
    span.run(() => 7),
    7,
  );
  span.end();
  await tracing.stop();
});

test('a traceparent is parsed and written unchanged', () => {
  assert.deepEqual(parseTraceparent(sampledParent), { traceId, spanId, sampled: true });
  assert.equal(traceparentFrom({ traceId, spanId, sampled: true }), sampledParent);
  assert.equal(parseTraceparent(traceparentFrom({ traceId, spanId, sampled: false }))?.sampled, false);
});

test('the known fields of a traceparent of a later version are parsed', () => {
  assert.equal(parseTraceparent(`01-${traceId}-${spanId}-01-more`)?.traceId, traceId);
});

test('a malformed traceparent is ignored', () => {
  const zeros = '0'.repeat(32);
  const malformed = [
    '',
    'x',
    `00-${traceId}-${spanId}`,
    `00-${traceId}-${spanId}-01-more`,
    `ff-${traceId}-${spanId}-01`,
  ];
  malformed.push(
    `00-${zeros}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
  );
  malformed.push(`01-${traceId}-${spanId}-01-${'x'.repeat(1_000_000)}`);
  for (const header of malformed) assert.equal(parseTraceparent(header), undefined, header.slice(0, 80));
});

test('the given ratio is sampled, and a sampled parent always', () => {
  const draws = [0.09, 0.1, 0.5];
  const sampled = createTraceSampling(0.1, createManualClock(), () => draws.shift() ?? 0.99);
  assert.deepEqual([sampled(), sampled(), sampled()], [true, false, false]);
  assert.equal(sampled(sampledParent), true);
  assert.equal(sampled(`00-${traceId}-${spanId}-00`), false);
  assert.equal(sampled('garbage'), false);
});

test('at most a hundred traces a second are recorded for sampled parents', () => {
  const clock = createManualClock();
  const sampled = createTraceSampling(0, clock, () => 0.5);
  const count = () => Array.from({ length: 1000 }, () => sampled(sampledParent)).filter(Boolean).length;
  assert.equal(count(), 100);
  clock.advance(999);
  assert.equal(count(), 0);
  clock.advance(1);
  assert.equal(count(), 100);
});
