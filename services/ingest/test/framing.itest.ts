import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { connectRaw, exchange, type RawSocket, readResponse } from '@tailrace/testkit/raw-socket';
import { reportOf, startIngest, tokenFor } from './ingest-fixture.ts';

/*
 * The framing of requests by RFC 9112 (HTTP/1.1) and RFC 9110, and the requests of load balancers and old clients.
 */

failOnLeaks();
const run = promisify(execFile);
const body = JSON.stringify(reportOf('plant1.a'));

function headText(token: string, fields: readonly string[] = [`Content-Length: ${body.length}`]): string {
  const all = ['Host: ingest', `Authorization: Bearer ${token}`, 'Content-Type: application/json', ...fields];
  return `POST /v1/ingest HTTP/1.1\r\n${all.map((field) => `${field}\r\n`).join('')}\r\n`;
}

async function rawTo(t: TestContext, port: number): Promise<RawSocket> {
  const socket = await connectRaw({ port });
  t.after(() => socket.close());
  return socket;
}

function errorOf({ body: text }: { body: string }): { code: string; message: string } {
  return JSON.parse(text).error;
}

test('a request is the same when it is split at any byte', async (t) => {
  const { port, token, post, logged } = await startIngest(t);
  const request = headText(token) + body;
  const sockets = await Promise.all(Array.from({ length: request.length - 1 }, () => rawTo(t, port)));
  for (const [i, socket] of sockets.entries()) socket.write(request.slice(0, i + 1));
  // The first parts are received when a later request has its answer.
  assert.equal((await post(body)).status, 202);
  for (const [i, socket] of sockets.entries()) socket.write(request.slice(i + 1));
  for (const socket of sockets) assert.equal((await readResponse(socket)).status, 202);
  assert.equal((await logged()).length, request.length);
});

test('a body of ambiguous length is refused, and nothing after it is read (RFC 9112, section 6.3)', async (t) => {
  const { port, token, logged, metric } = await startIngest(t);
  const cases = [
    ['Content-Length: 2', `Content-Length: ${body.length}`],
    [`Content-Length: ${body.length}`, 'Transfer-Encoding: chunked'],
    ['Content-Length: 1x'],
    ['Transfer-Encoding: chunked, identity'],
  ];
  for (const fields of cases) {
    const socket = await rawTo(t, port);
    const answer = await exchange(socket, headText(token, fields) + body + headText(token) + body);
    assert.deepEqual([answer.status, errorOf(answer).code], [400, 'invalid_message'], fields.join());
    assert.equal(answer.headers['connection'], 'close');
    await socket.closed;
  }
  assert.equal((await logged()).length, 0);
  assert.equal(await metric('tailrace_ingest_requests_total{outcome="malformed"}'), cases.length);
});

test('a client of HTTP/1.0 is served, and keeps its connection on request', async (t) => {
  const { port, token } = await startIngest(t);
  const request = (headText(token) + body).replace('HTTP/1.1', 'HTTP/1.0');
  const once = await rawTo(t, port);
  assert.equal((await exchange(once, request)).status, 202);
  await once.closed;
  const keepAlive = await rawTo(t, port);
  for (let n = 0; n < 2; n++)
    assert.equal((await exchange(keepAlive, request.replace('\r\n', '\r\nConnection: keep-alive\r\n'))).status, 202);
});

test('a client that waits for 100 (Continue) gets it, or the refusal, before it sends its body', async (t) => {
  const { port, token, logged } = await startIngest(t);
  const fields = [`Content-Length: ${body.length}`, 'Expect: 100-continue'];
  const socket = await rawTo(t, port);
  assert.equal((await exchange(socket, headText(token, fields))).status, 100);
  assert.equal((await exchange(socket, body)).status, 202);
  const refused = await rawTo(t, port);
  assert.equal((await exchange(refused, headText('nonsense', fields))).status, 401);
  // The client may still send the body: the connection cannot be used again.
  await refused.closed;
  assert.equal((await logged()).length, 1);
});

test('curl sends a body over 1 MB, after it has waited for 100 (Continue)', async (t) => {
  const { url, token } = await startIngest(t, { settings: { bodyBytesMax: 4_194_304 } });
  const large = JSON.stringify(Array.from({ length: 9_000 }, () => reportOf('plant1.a', { id: 'x'.repeat(60) })));
  assert.ok(large.length > 1_048_576);
  const args = ['--silent', '--max-time', '10', '--header', `Authorization: Bearer ${token}`];
  const data = ['--header', 'Content-Type: application/json', '--data-binary', '@-', `${url}/v1/ingest`];
  const curl = run('curl', [...args, ...data]);
  curl.child.stdin?.end(large);
  assert.equal(JSON.parse((await curl).stdout).accepted, 9_000);
});

test('a token of 100 patterns and cookies of 6 KiB fit into the head; beyond 16 KiB the answer names the limit', async (t) => {
  const { port, metric } = await startIngest(t);
  const patterns = Array.from({ length: 100 }, (_, i) => `plant1.hall${i}.line${i}.machines.>`);
  const token = await tokenFor(['plant1.a', ...patterns]);
  assert.ok(token.length > 4_096, `${token.length}`);
  const socket = await rawTo(t, port);
  const fields = [`Content-Length: ${body.length}`, `Cookie: c=${'x'.repeat(6_144)}`];
  assert.equal((await exchange(socket, headText(token, fields) + body)).status, 202);
  const large = await exchange(socket, headText('x'.repeat(17_000)) + body);
  assert.equal(large.status, 431);
  assert.match(errorOf(large).message, /expected at most 16384 bytes, got more: send a smaller token or fewer headers/);
  assert.equal(errorOf(large).code, 'too_large');
  assert.equal(await metric('tailrace_ingest_requests_total{outcome="head_too_large"}'), 1);
});

test('the default health checks of load balancers get 200, and 503 once the server leaves', async (t) => {
  const { port, ingest, metricIs } = await startIngest(t, { settings: { leaveMs: 300 } });
  const requests = ['GET', 'HEAD', 'OPTIONS'].flatMap((method) =>
    ['/', '/healthz'].flatMap((path) => [
      `${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`,
      `${method} ${path} HTTP/1.0\r\n\r\n`,
    ]),
  );
  const ask = async (request: string) => {
    const socket = await rawTo(t, port);
    socket.write(request);
    return await readResponse(socket, { hasBody: !request.startsWith('HEAD') });
  };
  for (const request of [...requests, 'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n'])
    assert.equal((await ask(request)).status, 200, request);
  await metricIs('tailrace_ingest_requests_total{outcome="health_check"}', requests.length + 1);
  const drained = ingest.drain();
  const leaving = await ask(requests[0]!);
  assert.deepEqual(
    [leaving.status, leaving.body, leaving.headers['connection']],
    [503, '{"status":"draining"}', 'close'],
  );
  await drained;
});

test('an idle connection stays open for longer than the 60 s of a load balancer, and no longer than the setting', async (t) => {
  const { port, token } = await startIngest(t);
  const socket = await rawTo(t, port);
  assert.equal((await exchange(socket, headText(token) + body)).headers['keep-alive'], 'timeout=75');
  const short = await startIngest(t, { settings: { keepAliveMs: 1_000 } });
  const idle = await rawTo(t, short.port);
  assert.equal((await exchange(idle, headText(short.token) + body)).status, 202);
  await idle.closed;
});

test('bytes that are not an HTTP/1.1 request get 400 in JSON, and the connection closes', async (t) => {
  const { port, post } = await startIngest(t);
  const cases = [
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'GET\r\n\r\n',
    'POST /v1/ingest HTTP/9.9\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'POST /v1/ingest HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n',
    'POST /v1/ingest HTTP/1.1\r\nHost : x\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
  ];
  for (const request of cases) {
    const socket = await rawTo(t, port);
    const answer = await exchange(socket, request);
    assert.deepEqual([answer.status, errorOf(answer).code], [400, 'invalid_message'], request);
    await socket.closed;
  }
  assert.equal((await post(body)).status, 202);
});

test('an upgrade that the server does not offer is an ordinary request, a tunnel is refused, trailers are ignored', async (t) => {
  const { port, token } = await startIngest(t);
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x', 'Sec-WebSocket-Version: 13'];
  const socket = await rawTo(t, port);
  const fields = upgrade.map((field) => `${field}\r\n`).join('');
  assert.equal((await exchange(socket, `GET /v1/other HTTP/1.1\r\nHost: x\r\n${fields}\r\n`)).status, 404);
  const tunnel = await rawTo(t, port);
  assert.equal((await exchange(tunnel, 'CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n')).status, 405);
  const chunked = await rawTo(t, port);
  const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\nX-Checksum: abc\r\n\r\n`;
  const head = headText(token, ['Transfer-Encoding: chunked']);
  assert.equal((await exchange(chunked, head + chunks)).status, 202);
  assert.equal((await exchange(chunked, head + chunks)).status, 202);
});

test('a tunnel whose client resets the connection, or that follows other requests, closes no other connection and does not stay open', async (t) => {
  const { port, token, post, ingest, hold } = await startIngest(t);
  const connect = 'CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n';
  for (let n = 0; n < 20; n++) {
    const reset = await rawTo(t, port);
    reset.write(connect);
    // Every other client resets after it has received the answer.
    if (n % 2 === 1) await reset.readSome();
    reset.reset();
  }
  const release = hold();
  const pipelined = await rawTo(t, port);
  pipelined.write((headText(token) + body).repeat(3) + connect);
  await pipelined.closed;
  release();
  assert.equal((await post(body)).status, 202);
  await ingest.drain();
});

test('a request with an invalid chunk gets 400, and its bytes are released', async (t) => {
  const { port, token, metricIs } = await startIngest(t);
  const socket = await rawTo(t, port);
  socket.write(`${headText(token, ['Transfer-Encoding: chunked'])}5\r\nhello\r\n`);
  await metricIs('tailrace_ingest_unfinished_body_bytes', 5);
  const answer = await exchange(socket, 'zz\r\nnonsense');
  assert.deepEqual([answer.status, errorOf(answer).code], [400, 'invalid_message']);
  await socket.closed;
  await metricIs('tailrace_ingest_in_flight_requests', 0);
});

test('an invalid chunk that is received before the token is verified gets 400 at once', async (t) => {
  const { port, token, metric, metricIs } = await startIngest(t);
  const socket = await rawTo(t, port);
  // The first request with this token: its signature is checked after the chunk was parsed.
  const answer = await exchange(socket, `${headText(token, ['Transfer-Encoding: chunked'])}zz\r\nnonsense`);
  assert.deepEqual([answer.status, errorOf(answer).code], [400, 'invalid_message']);
  await socket.closed;
  await metricIs('tailrace_ingest_in_flight_requests', 0);
  assert.equal(await metric('tailrace_ingest_requests_total{outcome="malformed"}'), 1);
});

test('invalid bytes after a request do not suppress its answer', async (t) => {
  const { port, token, hold, metricIs } = await startIngest(t);
  const release = hold();
  const socket = await rawTo(t, port);
  socket.write(`${headText(token)}${body}\x00\x01nonsense\r\n\r\n`);
  await metricIs('tailrace_ingest_in_flight_requests', 1);
  release();
  assert.equal((await readResponse(socket)).status, 202);
  await socket.closed;
});

test('a client that is still sending receives the whole answer of a refusal', async (t) => {
  const { port, token } = await startIngest(t);
  for (const head of [
    headText(token, ['Content-Length: 1000000000']),
    headText('none', ['Transfer-Encoding: chunked']),
  ]) {
    const socket = await rawTo(t, port);
    // Far more than the buffers of both kernels: most of it is not sent yet when the answer is written.
    socket.write(head);
    socket.write(`${(8_000_000).toString(16)}\r\n${'x'.repeat(8_000_000)}`);
    const answer = await readResponse(socket);
    assert.ok([413, 401].includes(answer.status), `${answer.status}`);
    assert.equal(typeof errorOf(answer).message, 'string');
    socket.reset();
  }
});

test('a client that is refused before its body, and closes its half, receives one response, and is counted once', async (t) => {
  const { port, metric } = await startIngest(t);
  const socket = await rawTo(t, port);
  socket.write(headText('none', ['Content-Length: 1000']));
  assert.equal((await readResponse(socket)).status, 401);
  socket.halfClose();
  assert.equal(String(await socket.readToEnd()), '');
  assert.equal(await metric('tailrace_ingest_requests_total{outcome="unauthorized"}'), 1);
  assert.equal(await metric('tailrace_ingest_requests_total{outcome="malformed"}'), 0);
});

test('unread answers are bounded: beyond the limit the connection of the oldest closes', async (t) => {
  const { port, token, metric, metricIs } = await startIngest(t);
  // Each answer has nearly a megabyte, and the kernel buffers some of them for a connection.
  const bad = JSON.stringify(Array.from({ length: 10_000 }, () => 1));
  const request = headText(token, [`Content-Length: ${bad.length}`]) + bad;
  const sockets: RawSocket[] = [];
  for (let i = 0; i < 50; i++) {
    const socket = await rawTo(t, port);
    socket.stopReading();
    socket.write(request.repeat(8));
    sockets.push(socket);
  }
  await eventually(async () => assert.ok((await metric('tailrace_ingest_unread_responses_total')) > 0), {
    deadlineMs: 15_000,
  });
  for (const socket of sockets) socket.reset();
  await metricIs('tailrace_ingest_connections', 0);
  await metricIs('tailrace_ingest_in_flight_requests', 0);
});

test('an incomplete head gets 408 at its deadline, and has its own outcome', async (t) => {
  const { port, metricIs } = await startIngest(t);
  const socket = await rawTo(t, port);
  socket.write('POST /v1/ingest HTTP/1.1\r\nHost: x\r\n');
  const answer = await readResponse(socket, { deadlineMs: 15_000 });
  assert.deepEqual([answer.status, errorOf(answer).code], [408, 'timeout']);
  await metricIs('tailrace_ingest_requests_total{outcome="head_timeout"}', 1);
  await metricIs('tailrace_ingest_requests_total{outcome="timeout"}', 0);
});
