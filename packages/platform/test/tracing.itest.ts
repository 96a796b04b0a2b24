import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { type Log, silentLog } from '../src/log.ts';
import { createTracing } from '../src/tracing.ts';

interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly attributes: readonly { key: string; value: Record<string, unknown> }[];
  readonly links?: readonly { traceId: string; spanId: string }[];
  readonly status: { code?: number; message?: string };
}

/** A collector: takes OTLP/HTTP in its JSON form and keeps the spans. */
async function collector(t: TestContext, status = 200) {
  const spans: ReceivedSpan[] = [];
  const resources: unknown[] = [];
  const server = createServer(async (request, response) => {
    const body = JSON.parse(await text(request));
    for (const resource of body.resourceSpans) {
      resources.push(...resource.resource.attributes);
      for (const scope of resource.scopeSpans) spans.push(...scope.spans);
    }
    response.writeHead(status, { 'Content-Type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`, spans, resources };
}

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const parent = `00-${traceId}-${spanId}-01`;

test('a span arrives at the collector with its attributes, links, parent and failure', async (t) => {
  const { url, spans, resources } = await collector(t);
  const tracing = await createTracing({ service: 'ingest', node: 'n0', url, sampleRatio: 1, log: silentLog });
  assert.equal(tracing.enabled, true);
  assert.equal(tracing.sampled(), true);

  const outer = tracing.span('append batch', { reports: 3 }, { parent });
  const inner = await outer.run(async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return tracing.span('wait for the log');
  });
  inner.fail(new RangeError('no broker'));
  inner.end();
  outer.end();
  tracing.span('flush', {}, { links: [parent, 'garbage'] }).end();
  await tracing.stop();

  const [first, second, third] = ['append batch', 'wait for the log', 'flush'].map((name) =>
    spans.find((span) => span.name === name),
  );
  assert.ok(first && second && third);
  assert.equal(first.traceId, traceId);
  assert.equal(first.parentSpanId, spanId);
  assert.deepEqual(first.attributes, [{ key: 'reports', value: { intValue: 3 } }]);
  assert.equal(outer.traceparent, `00-${traceId}-${first.spanId}-01`);
  assert.equal(second.parentSpanId, first.spanId);
  assert.deepEqual(second.status, { code: 2, message: 'no broker' });
  assert.notEqual(third.traceId, traceId);
  assert.deepEqual(
    third.links?.map((link) => link.spanId),
    [spanId],
  );
  assert.ok(JSON.stringify(resources).includes('tailrace-ingest'));
});

test('a collector that refuses is told to the log, and stop comes to an end', async (t) => {
  const { url } = await collector(t, 400);
  const sentences: string[] = [];
  const log: Log = { ...silentLog, warn: (_, sentence) => void sentences.push(sentence) };
  const tracing = await createTracing({ service: 'ingest', node: 'n0', url, sampleRatio: 1, log });
  tracing.span('flush').end();
  await tracing.stop();
  assert.ok(
    sentences.some((sentence) => /check tracingUrl/.test(sentence)),
    sentences.join(),
  );
});
