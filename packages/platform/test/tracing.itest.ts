import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { freePort } from '@tailrace/testkit/free-port';
import { startOtlpReceiver } from '@tailrace/testkit/otlp-receiver';
import { createTracing } from '../src/create-tracing.ts';
import { createLogger, type Logger, silentLogger } from '../src/logger.ts';
import { createMetrics } from '../src/metrics.ts';
import { registerTracingMetrics } from '../src/tracing.ts';
import { version } from '../src/version.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const parent = `00-${traceId}-${spanId}-01`;

async function collector(t: TestContext, status = 200) {
  const receiver = await startOtlpReceiver({ status });
  t.after(() => receiver.stop());
  return receiver;
}

const tracingTo = (url: string, logger: Logger = silentLogger) =>
  createTracing({ service: 'ingest', node: 'n0', url, sampleRatio: 1, logger });

test('a span is exported with its kind, attributes, links, parent, error and process', async (t) => {
  const { url, spans } = await collector(t);
  const tracing = await tracingTo(url);
  assert.equal(tracing.enabled, true);
  assert.equal(tracing.sampled(), true);

  const outer = tracing.span('append batch', { reports: 3 }, { parent, kind: 'server' });
  const inner = outer.run(() => tracing.span('wait for the log'));
  inner.fail(new RangeError('no broker'));
  inner.end();
  outer.end();
  tracing.span('flush', {}, { links: [parent, 'garbage'], kind: 'consumer' }).end();
  await tracing.stop();

  const [second, first, third] = await spans.atLeast(3);
  assert.ok(first && second && third);
  assert.deepEqual([first.name, second.name, third.name], ['append batch', 'wait for the log', 'flush']);
  assert.deepEqual([first.kind, second.kind, third.kind], [2, 1, 5]);
  assert.equal(first.traceId, traceId);
  assert.equal(first.parentSpanId, spanId);
  assert.deepEqual(first.attributes, { reports: 3 });
  assert.equal(outer.traceparent, `00-${traceId}-${first.spanId}-01`);
  assert.equal(second.parentSpanId, first.spanId);
  assert.deepEqual([second.failed, second.message], [true, 'no broker']);
  assert.equal(second.attributes['error.type'], 'RangeError');
  assert.notEqual(third.traceId, traceId);
  assert.equal(third.parentSpanId, undefined);
  assert.deepEqual(third.links, [{ traceId, spanId }]);
  const { resource } = first;
  assert.equal(resource['service.name'], 'tailrace-ingest');
  assert.equal(resource['service.version'], version);
  assert.equal(resource['service.instance.id'], 'n0');
});

test('a line that is logged within a span has its IDs, one outside has none', async (t) => {
  const { url } = await collector(t);
  const tracing = await tracingTo(url);
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const logger = createLogger({ service: 'ingest', level: 'info', destination, fields: () => tracing.fields() });
  const outer = tracing.span('outer', {}, { parent });
  logger.info({}, 'before');
  outer.run(() => {
    logger.info({ partition: 1 }, 'in the outer one');
    const inner = tracing.span('inner');
    inner.run(() => logger.child({ topic: 'a' }).info({}, 'in the inner one'));
    inner.end();
    assert.throws(() => outer.run(() => assert.fail('thrown')), /thrown/);
    logger.info({}, 'in the outer one again');
  });
  logger.info({}, 'after');
  outer.end();
  await tracing.stop();
  const outerId = outer.traceparent.split('-')[2];
  assert.deepEqual(
    lines.map((line) => line['trace_id']),
    [undefined, traceId, traceId, traceId, undefined],
  );
  assert.deepEqual([lines[1]?.['span_id'], lines[3]?.['span_id']], [outerId, outerId]);
  assert.notEqual(lines[2]?.['span_id'], outerId);
  assert.equal(lines[1]?.['partition'], 1);
});

test('a collector that refuses or does not exist is logged, and stop resolves', async (t) => {
  const { url } = await collector(t, 400);
  for (const address of [url, `http://127.0.0.1:${await freePort()}/v1/traces`]) {
    const messages: string[] = [];
    const logger: Logger = { ...silentLogger, warn: (_, message) => void messages.push(message) };
    const tracing = await tracingTo(address, logger);
    // More than can wait for a collector: the rest is dropped.
    for (let n = 0; n < 5_000; n++) tracing.span('flush').end();
    const { counts } = tracing;
    assert.ok(counts);
    assert.equal(counts.dropped, 5_000 - counts.waitingMax);
    await tracing.stop();
    assert.equal(counts.sent, 0);
    assert.equal(counts.failed, counts.waitingMax - counts.waiting);
    assert.ok(
      messages.some((message) => /check tracingUrl/.test(message)),
      messages.join(),
    );
  }
});

test('waiting, sent and failed spans are counted', async (t) => {
  const { url } = await collector(t);
  const tracing = await tracingTo(url);
  const metrics = createMetrics({ service: 'ingest', node: 'n0', processMetrics: false });
  registerTracingMetrics(metrics, tracing);
  const value = async (name: string) =>
    new RegExp(`^tailrace_ingest_${name}_spans(?:_total)?\\{.*\\} (\\d+)$`, 'm').exec(await metrics.text())?.[1];
  for (let n = 0; n < 3; n++) tracing.span('flush').end();
  assert.deepEqual([await value('waiting'), await value('limit_waiting')], ['3', '2048']);
  await tracing.stop();
  assert.deepEqual([await value('waiting'), await value('sent'), await value('failed')], ['0', '3', '0']);
});
