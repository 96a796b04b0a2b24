import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { connectRaw, exchange, type RawResponse, type RawSocket, readResponse } from '@tailrace/testkit/raw-socket';
import { reportOf, startIngest, tokenFor } from './ingest-fixture.ts';

failOnLeaks();

const body = JSON.stringify(reportOf('plant1.a', { id: 'x1' }));

/** Returns a request. `sent`: how much of the body it has. */
function requestText(token: string, options: { body?: string; sent?: number } = {}): string {
  const text = options.body ?? body;
  const head = [
    'POST /v1/ingest HTTP/1.1',
    'Host: ingest',
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(text)}`,
  ].join('\r\n');
  return `${head}\r\n\r\n${text.slice(0, options.sent)}`;
}

async function rawTo(t: TestContext, port: number): Promise<RawSocket> {
  const socket = await connectRaw({ port });
  t.after(() => socket.close());
  return socket;
}

function errorOf(response: RawResponse): { code: string; message: string } {
  return JSON.parse(response.body).error;
}

test('an unreachable log is a 503 with Retry-After and the note that a retry is safe; then reports are accepted again', async (t) => {
  const { post, failWith, logged, metric } = await startIngest(t);
  failWith(new TailraceError('unavailable', 'no answer from Kafka at 10.0.0.1:9092'));
  const response = await post(body);
  assert.equal(response.status, 503);
  assert.equal(response.headers.get('retry-after'), '2');
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  assert.equal(error.code, 'unavailable');
  assert.match(error.message, /safe with the same ids/);
  assert.doesNotMatch(error.message, /10\.0\.0\.1/);
  failWith(undefined);
  assert.equal((await post(body)).status, 202);
  assert.equal((await logged()).length, 1);
  assert.equal(await metric('tailrace_ingest_failed_appends_total'), 1);
  assert.equal(await metric('tailrace_ingest_accepted_reports_total'), 1);
});

test('a full log is a 503 as well', async (t) => {
  const { post, failWith } = await startIngest(t);
  failWith(new TailraceError('storage_full', 'no space left on /data'));
  const response = await post(body);
  assert.equal(response.status, 503);
  assert.equal(((await response.json()) as { error: { code: string } }).error.code, 'storage_full');
});

test('a log that does not answer is a 503 at the deadline, and the bytes are held until it settles the append', async (t) => {
  const clock = createFakeClock({ nowMs: Date.now() });
  const { post, hold, metric, metricIs } = await startIngest(t, { clock });
  const release = hold();
  const response = post(body);
  await metricIs('tailrace_ingest_in_flight_bytes', body.length);
  await clock.advance(5_000);
  assert.equal((await response).status, 503);
  assert.equal(await metric('tailrace_ingest_in_flight_requests'), 0);
  assert.equal(await metric('tailrace_ingest_in_flight_bytes'), body.length);
  release();
  await metricIs('tailrace_ingest_in_flight_bytes', 0);
});

test('requests over the limits get 429 or 503 with Retry-After, and those in progress are not affected', async (t) => {
  const { post, hold, metricIs } = await startIngest(t, {
    settings: { inFlightRequestsMax: 3, requestsPerTokenMax: 2 },
  });
  const bearer = async (subject: string) => ({ authorization: `Bearer ${await tokenFor(['plant1.>'], { subject })}` });
  const other = await bearer('gateway8');
  await post(body);
  const release = hold();
  const first = post(body);
  const second = post(body);
  await metricIs('tailrace_ingest_in_flight_requests', 2);
  // Another token of the same sender changes nothing.
  const greedy = await post(body, { authorization: `Bearer ${await tokenFor(['plant1.>', 'plant9.>'])}` });
  assert.equal(greedy.status, 429);
  assert.ok(Number(greedy.headers.get('retry-after')) >= 1);
  const third = post(body, other);
  await metricIs('tailrace_ingest_in_flight_requests', 3);
  const late = await post(body, other);
  assert.equal(late.status, 503);
  assert.ok(Number(late.headers.get('retry-after')) >= 1);
  release();
  for (const response of await Promise.all([first, second, third])) assert.equal(response.status, 202);
  await metricIs('tailrace_ingest_in_flight_requests', 0);
});

test('bodies over the limit of held bytes get 503, and those of one sender over half of it 429', async (t) => {
  const large = JSON.stringify([reportOf('plant1.a', { readings: [{ tag: 't', value: 'x' }] }), ' '.repeat(400_000)]);
  const { post, hold, metric, metricIs } = await startIngest(t, { settings: { inFlightBytesMax: 1_048_576 } });
  const bearer = async (subject: string) => ({ authorization: `Bearer ${await tokenFor(['plant1.>'], { subject })}` });
  const release = hold();
  const first = post(large);
  await metricIs('tailrace_ingest_in_flight_bytes', large.length);
  const greedy = await post(large);
  assert.equal(greedy.status, 429);
  const second = post(large, await bearer('gateway8'));
  await metricIs('tailrace_ingest_in_flight_bytes', 2 * large.length);
  assert.equal(await metric('tailrace_ingest_sender_bytes'), large.length);
  const third = await post(large, await bearer('gateway9'));
  assert.equal(third.status, 503);
  assert.match(((await third.json()) as { error: { message: string } }).error.message, /bytes in progress, its limit/);
  release();
  for (const response of [await first, await second]) assert.equal(response.status, 202);
});

test('a body that takes too long is a 408', async (t) => {
  const clock = createFakeClock({ nowMs: Date.now() });
  const { port, token, metricIs } = await startIngest(t, { clock });
  const socket = await rawTo(t, port);
  socket.write(requestText(token, { sent: 7 }));
  await metricIs('tailrace_ingest_unfinished_body_bytes', 7);
  await clock.advance(11_000);
  const response = await readResponse(socket);
  assert.equal(response.status, 408);
  assert.match(errorOf(response).message, /the body: expected all of it within 10000 ms, got 7 bytes/);
  await socket.closed;
});

test('a client that disconnects while its reports are appended affects no other client', async (t) => {
  const { port, token, post, hold, logged, metricIs } = await startIngest(t);
  await post(body);
  const release = hold();
  const socket = await rawTo(t, port);
  socket.write(requestText(token));
  await metricIs('tailrace_ingest_in_flight_requests', 1);
  socket.reset();
  const other = post(body);
  await metricIs('tailrace_ingest_in_flight_requests', 2);
  release();
  assert.equal((await other).status, 202);
  await metricIs('tailrace_ingest_requests_total{outcome="client_gone"}', 1);
  await metricIs('tailrace_ingest_in_flight_requests', 0);
  assert.equal((await logged()).length, 3);
});

test('a client that disconnects in the middle of its body affects no other client', async (t) => {
  const { port, token, post, metricIs } = await startIngest(t);
  const socket = await rawTo(t, port);
  socket.write(requestText(token, { sent: 20 }));
  await metricIs('tailrace_ingest_unfinished_body_bytes', 20);
  socket.reset();
  await metricIs('tailrace_ingest_requests_total{outcome="client_gone"}', 1);
  await metricIs('tailrace_ingest_in_flight_requests', 0);
  assert.equal((await post(body)).status, 202);
});

test('two requests in one write (pipelining) are both answered, in their order', async (t) => {
  const { port, token, hold, logged, metricIs } = await startIngest(t);
  const release = hold();
  const socket = await rawTo(t, port);
  socket.write(requestText(token) + requestText('nonsense'));
  await metricIs('tailrace_ingest_requests_total{outcome="unauthorized"}', 1);
  assert.equal(socket.waiting(), 0, 'the second answer waits for the first');
  release();
  assert.equal((await readResponse(socket)).status, 202);
  assert.equal((await readResponse(socket)).status, 401);
  assert.equal((await exchange(socket, requestText(token))).status, 202);
  assert.equal((await logged()).length, 2);
});

test('requests in one write (pipelining) whose bodies are read are all accepted and answered', async (t) => {
  const { port, token, logged, metricIs } = await startIngest(t);
  const socket = await rawTo(t, port);
  for (const count of [2, 3, 20]) {
    socket.write(requestText(token).repeat(count));
    for (let i = 0; i < count; i++) assert.equal((await readResponse(socket)).status, 202, `answer ${i} of ${count}`);
  }
  assert.equal((await logged()).length, 25);
  await metricIs('tailrace_ingest_requests_total{outcome="client_gone"}', 0);
  await metricIs('tailrace_ingest_in_flight_requests', 0);
});

test('a client that disconnects with several requests in progress (pipelining) leaves nothing behind', async (t) => {
  const { port, token, hold, metricIs } = await startIngest(t);
  const release = hold();
  const socket = await rawTo(t, port);
  socket.write(requestText(token).repeat(3));
  await metricIs('tailrace_ingest_in_flight_requests', 3);
  socket.reset();
  await metricIs('tailrace_ingest_connections', 0);
  release();
  await metricIs('tailrace_ingest_requests_total{outcome="client_gone"}', 3);
  await metricIs('tailrace_ingest_in_flight_requests', 0);
});

test('a connection can be used again after a refusal that was sent before the body was received', async (t) => {
  const { port, token } = await startIngest(t);
  const socket = await rawTo(t, port);
  socket.write(requestText('nonsense', { body: 'x'.repeat(300_000), sent: 1_000 }).replace('Bearer nonsense', 'None'));
  assert.equal((await readResponse(socket)).status, 401);
  socket.write('x'.repeat(299_000));
  const next = await exchange(socket, requestText(token));
  assert.equal(next.status, 202);
});

test('draining: requests in progress are answered, idle connections are closed, and no new ones are accepted', async (t) => {
  const { port, token, ingest, hold, logged, metricIs } = await startIngest(t);
  const running = await rawTo(t, port);
  const idle = await rawTo(t, port);
  assert.equal((await exchange(idle, requestText(token))).status, 202);
  const release = hold();
  running.write(requestText(token));
  await metricIs('tailrace_ingest_in_flight_requests', 1);
  let isDrained = false;
  const drained = ingest.drain().then(() => {
    isDrained = true;
  });
  assert.equal(ingest.notReady(), 'draining');
  await idle.closed;
  await assert.rejects(connectRaw({ port }), /cannot connect/);
  assert.ok(!isDrained);
  release();
  const answered = await readResponse(running);
  assert.equal(answered.status, 202);
  assert.equal(answered.headers['connection'], 'close');
  await drained;
  assert.equal((await logged()).length, 2);
});

test('leaving: requests of a balancer that does not know of it yet are still accepted, also on new connections', async (t) => {
  const { port, token, ingest, logged } = await startIngest(t, { settings: { leaveMs: 300 } });
  const idle = await rawTo(t, port);
  assert.equal((await exchange(idle, requestText(token))).headers['connection'], 'keep-alive');
  const drained = ingest.drain();
  assert.equal(ingest.notReady(), 'leaving');
  for (const socket of [idle, await rawTo(t, port)]) {
    const answer = await exchange(socket, requestText(token));
    assert.equal(answer.status, 202);
    assert.equal(answer.headers['connection'], 'close');
    await socket.closed;
  }
  await drained;
  assert.equal(ingest.notReady(), 'draining');
  await assert.rejects(connectRaw({ port }), /cannot connect/);
  assert.equal((await logged()).length, 3);
});
