import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { noTracing } from '@tailrace/platform/tracing';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { z } from 'zod';
import { createIngest } from './app.ts';
import { ingestSettings } from './config.ts';
import { type MemoryAnswer, MemoryTransport } from './memory-transport.ts';

const tokenSecret = 'a secret of the tests, long enough for HS256';
const report = { device: 'plant1.a', time: 1_634_567_890_123, readings: [{ tag: 't', value: 1 }] };

/** Ingest on a transport, a log and a clock in memory. */
async function started(t: TestContext, leaveMs = 0) {
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const config = z.object(ingestSettings).parse({ tokenSecret, allowedOrigins: ['https://app.example'] });
  const eventLog = createMemoryLog({ clock }).connect();
  await eventLog.start();
  const transport = new MemoryTransport({ clock, logger: silentLogger });
  const metrics = createMetrics({ service: 'ingest', node: 'test', processMetrics: false });
  const logger = silentLogger;
  const ingest = createIngest({ eventLog, clock, logger, metrics, tracing: noTracing, transport, config, leaveMs });
  await ingest.start();
  t.after(() => ingest.stop());
  const publish = ['plant1.>'];
  const token = await issueToken({
    ...{ secret: tokenSecret, subject: 'gateway7', publish, subscribe: [], expiresInMs: 3_600_000, clock },
  });
  const post = (body: unknown, headers: Readonly<Record<string, string>> = {}) =>
    transport.request(
      { target: '/v1/ingest', headers: { authorization: `Bearer ${token}`, ...headers } },
      Buffer.from(JSON.stringify(body)),
    );
  return { clock, ingest, transport, eventLog, metrics, token, post };
}

const statusOf = (answer: MemoryAnswer | undefined) => answer?.status;
const errorOf = (answer: MemoryAnswer | undefined) => JSON.parse(answer?.body ?? '{}').error;

test('a report is in the log when it is answered', async (t) => {
  const { post, eventLog, metrics } = await started(t);
  const answer = await post(report);
  assert.deepEqual([answer?.status, answer?.body], [202, '{"accepted":1,"rejected":[]}']);
  const bounds = [...(await eventLog.bounds('tailrace.telemetry')).values()];
  assert.equal(bounds.filter(({ next }) => next === 1).length, 1);
  assert.match(await metrics.text(), /tailrace_ingest_requests_total\{[^}]*outcome="accepted"[^}]*\} 1/);
});

test('a request without a token, and one to another path, is refused with what was expected', async (t) => {
  const { post, transport } = await started(t);
  const unauthorized = await post(report, { authorization: '' });
  assert.equal(unauthorized?.status, 401);
  assert.match(errorOf(unauthorized).message, /^expected the header "Authorization: Bearer <token>", got none$/);
  const elsewhere = await transport.request({ method: 'GET', target: '/v1/other' });
  assert.equal(elsewhere?.status, 404);
  assert.equal(errorOf(elsewhere).message, 'expected POST /v1/ingest, got "GET /v1/other"');
  assert.equal(statusOf(await transport.request({ method: 'PUT', target: '/v1/ingest' })), 405);
});

test('while the log fails, requests are refused at once, but for one every 250 ms, until the log confirms one', async (t) => {
  const { post, eventLog, clock } = await started(t);
  let appends = 0;
  let isFailing = true;
  const { append } = eventLog;
  eventLog.append = (...parts) => {
    appends++;
    if (!isFailing) return append.apply(eventLog, parts);
    return Promise.reject(new TailraceError('unavailable', 'no answer from the log'));
  };
  for (const _ of [0, 1, 2]) {
    assert.equal(statusOf(await post(report)), 503);
    await clock.advance(1_000);
  }
  assert.equal(appends, 3, 'three failures in two seconds');
  const [probe, refused] = [await post(report), await post(report)];
  assert.deepEqual([statusOf(probe), statusOf(refused), appends], [503, 503, 4]);
  assert.match(errorOf(probe).message, /may or may not be in it/);
  assert.match(errorOf(refused).message, /nothing of this request was accepted: retry later/);
  assert.ok(refused?.headers.some(([name, value]) => name === 'Retry-After' && value !== '0'));
  isFailing = false;
  assert.equal(statusOf(await post(report)), 503);
  await clock.advance(250);
  assert.deepEqual([statusOf(await post(report)), statusOf(await post(report)), appends], [202, 202, 6]);
});

test('the answer to a preflight has the allowed methods, for allowed origins alone', async (t) => {
  const { transport } = await started(t);
  const preflight = (origin: string) =>
    transport.request({ method: 'OPTIONS', target: '/v1/ingest', headers: { origin } });
  const names = async (origin: string) => (await preflight(origin))?.headers.map(([name]) => name) ?? [];
  assert.ok((await names('https://app.example')).includes('Access-Control-Allow-Methods'));
  assert.deepEqual(await names('https://other.example'), []);
});

test('a stalled body is refused at its deadline, and releases its capacity', async (t) => {
  const { clock, transport, token, metrics, post } = await started(t);
  // The verifier caches the token: the body of the next request is read at once.
  await post(report);
  const client = transport.send({ target: '/v1/ingest', headers: { authorization: `Bearer ${token}` } });
  client.write(Buffer.from('{'));
  await clock.advance(10_500);
  assert.equal(statusOf(await client.answered), 408);
  assert.match(await metrics.text(), /tailrace_ingest_in_flight_requests\{[^}]*\} 0/);
});

test('a node that leaves fails health checks and still accepts reports; one that drains refuses them', async (t) => {
  const { clock, ingest, transport, post } = await started(t, 1_000);
  const health = async () => statusOf(await transport.request({ method: 'GET', target: '/healthz' }));
  assert.equal(await health(), 200);
  const drained = ingest.drain();
  assert.deepEqual([await health(), statusOf(await post(report)), ingest.notReady()], [503, 202, 'leaving']);
  await clock.advance(1_000);
  await drained;
  assert.equal(ingest.notReady(), 'draining');
  assert.equal(await post(report), undefined);
});
