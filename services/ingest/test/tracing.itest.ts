import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createTracing } from '@tailrace/platform/create-tracing';
import { createLogger, silentLogger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { startOtlpReceiver } from '@tailrace/testkit/otlp-receiver';
import { loggedHeaders, reportOf, startIngest, topic } from './ingest-fixture.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const device = `00-${traceId}-00f067aa0ba902b7-01`;

/**
 * Starts ingest with a collector of traces and a sample ratio of 0. `spans` stops the tracing, and returns all spans.
 */
async function traced(t: TestContext) {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.stop());
  // A stopped clock: the limit of traces per second is reached once.
  const { monotonic } = createFakeClock();
  const clock = {
    now: Date.now,
    monotonic,
    after: () => ({ cancel() {} }),
    every: () => ({ cancel() {} }),
    sleep: async () => {},
  };
  const tracing = await createTracing({
    service: 'ingest',
    node: 'n',
    url: receiver.url,
    sampleRatio: 0,
    logger: silentLogger,
    clock,
  });
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const logger = createLogger({ service: 'ingest', level: 'warn', destination, fields: () => tracing.fields() });
  const serving = await startIngest(t, { tracing, logger, settings: { telemetryPartitions: 1 } });
  return {
    ...serving,
    lines,
    async spans() {
      await tracing.stop();
      return receiver.spans.all;
    },
    headers: () => loggedHeaders(serving.eventLog),
  };
}

test('a sampled request has a span, its append another, and the records have its trace; other requests have no span', async (t) => {
  const { post, headers, spans } = await traced(t);
  await post(JSON.stringify([reportOf('plant1.a'), reportOf('plant1.b')]), { traceparent: device });
  await post(JSON.stringify(reportOf('plant1.c')));
  await post(JSON.stringify(reportOf('plant1.c')), { traceparent: `00-${traceId}-00f067aa0ba902b7-00` });
  const [append, request, ...more] = await spans();
  assert.ok(append && request && more.length === 0);
  assert.deepEqual(
    [request.name, request.traceId, request.parentSpanId],
    ['POST /v1/ingest', traceId, device.split('-')[2]],
  );
  assert.deepEqual([append.name, append.traceId, append.parentSpanId], [`send ${topic}`, traceId, request.spanId]);
  assert.deepEqual([request.kind, append.kind], [2, 4], 'server, producer');
  const inLog = { traceparent: `00-${traceId}-${append.spanId}-01` };
  assert.deepEqual(await headers(), [inLog, inLog, undefined, undefined]);
  const { 'http.request.body.size': bytes, ...facts } = request.attributes;
  assert.ok(Number(bytes) > 100);
  assert.deepEqual(facts, {
    'http.request.method': 'POST',
    'http.route': '/v1/ingest',
    'url.path': '/v1/ingest',
    'url.scheme': 'http',
    'http.response.status_code': 202,
    'tailrace.outcome': 'accepted',
  });
  assert.deepEqual(append.attributes, {
    'messaging.system': 'tailrace',
    'messaging.operation.name': 'send',
    'messaging.operation.type': 'send',
    'messaging.destination.name': topic,
    'messaging.batch.message_count': 2,
  });
});

test('an error of the server fails the spans, an error of the sender does not, and no span has the name of a device', async (t) => {
  const { post, failWith, spans } = await traced(t);
  await post(JSON.stringify(reportOf('elsewhere.secretive')), { traceparent: device });
  failWith(new TailraceError('unavailable', 'no broker'));
  await post(JSON.stringify(reportOf('plant1.secretive')), { traceparent: device });
  const [forbidden, append, failed] = await spans();
  assert.ok(forbidden && append && failed);
  assert.deepEqual([forbidden.failed, append.failed, failed.failed], [false, true, true]);
  assert.equal(forbidden.attributes['http.response.status_code'], 403);
  assert.equal(append.attributes['error.type'], 'unavailable');
  assert.equal(failed.attributes['http.response.status_code'], 503);
  assert.doesNotMatch(JSON.stringify([forbidden, append, failed]), /secretive/);
});

test('senders cannot have more than a hundred of their requests traced within a second', async (t) => {
  const { post, headers, spans } = await traced(t);
  for (let n = 0; n < 105; n++) await post(JSON.stringify(reportOf('plant1.a')), { traceparent: device });
  assert.equal((await headers()).filter(Boolean).length, 100);
  assert.equal((await spans()).length, 200, 'two spans each');
});

test('the latency of a traced request has its trace as an exemplar, in OpenMetrics', async (t) => {
  const { post, page, spans } = await traced(t);
  await post(JSON.stringify(reportOf('plant1.a')));
  assert.doesNotMatch(await page('application/openmetrics-text'), /trace_id/);
  await post(JSON.stringify(reportOf('plant1.a')), { traceparent: device });
  const exemplars = (await page('application/openmetrics-text'))
    .split('\n')
    .filter((line) => line.includes('trace_id'));
  const [append, request] = await spans();
  assert.equal(exemplars.length, 2);
  for (const [metric, span] of [
    ['request', request],
    ['append', append],
  ] as const) {
    const found = exemplars.find((line) => line.startsWith(`tailrace_ingest_${metric}_duration_`));
    assert.ok(found?.includes(`{trace_id="${traceId}",span_id="${span?.spanId}"}`), `${metric}: ${found}`);
  }
});

test('a line logged for a traced request has its trace, also if the log answers long after the request', async (t) => {
  const { post, failWith, hold, lines, spans } = await traced(t);
  failWith(new TailraceError('unavailable', 'no broker'));
  const release = hold();
  const answered = post(JSON.stringify(reportOf('plant1.a')), { traceparent: device });
  const other = await post('not JSON');
  assert.equal(other.status, 400);
  release();
  assert.equal((await answered).status, 503);
  const [append] = await spans();
  assert.deepEqual(
    lines.map((line) => [line['message'], line['trace_id'], line['span_id']]),
    [['the log accepts no reports; their senders are to send them again', traceId, append?.spanId]],
  );
});
