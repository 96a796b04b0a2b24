import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { ControlTopic } from '@tailrace/eventlog/control-topic';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { tailrace } from '@tailrace/protocol/generated';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { connectRaw, readResponse } from '@tailrace/testkit/raw-socket';
import { reportOf, startIngest, tokenFor } from './ingest-fixture.ts';

failOnLeaks();
const run = promisify(execFile);

/** Runs curl. Returns the status and body of the answer. */
async function curl(url: string, ...args: string[]): Promise<{ status: number; body: string }> {
  const { stdout } = await run('curl', [
    '--silent',
    '--show-error',
    '--max-time',
    '10',
    '--write-out',
    '\n%{http_code}',
    ...args,
    url,
  ]);
  const end = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
}

test('a report sent with curl is in the log when it is answered', async (t) => {
  const { url, token, logged } = await startIngest(t);
  const report = reportOf('plant1.line3.press7', { id: 'a1b2' });
  const { status, body } = await curl(
    `${url}/v1/ingest`,
    '--header',
    `Authorization: Bearer ${token}`,
    '--header',
    'Content-Type: application/json',
    '--data',
    JSON.stringify(report),
  );
  assert.equal(status, 202, body);
  assert.deepEqual(JSON.parse(body), { accepted: 1, rejected: [] });
  const [found] = await logged();
  const { received, ...rest } = found!;
  assert.deepEqual(rest, report);
  assert.ok(Math.abs(Date.now() - received!) < 60_000);
});

test('an array, lines, Protobuf, gzip and deflate are accepted', async (t) => {
  const { post, logged } = await startIngest(t);
  const reports = [reportOf('plant1.a'), reportOf('plant1.b')];
  const lines = reports.map((report) => `${JSON.stringify(report)}\n`).join('');
  const protos = reports.map(({ device, time }) => ({ device, time, readings: [{ tag: 't', text: 'ü' }] }));
  const batch = tailrace.v1.ReportBatch.encode({ reports: protos }).finish();
  const responses = [
    await post(JSON.stringify(reports)),
    await post(lines, { 'content-type': 'application/x-ndjson' }),
    await post(batch, { 'content-type': 'application/x-protobuf' }),
    await post(gzipSync(JSON.stringify(reports)), { 'content-encoding': 'gzip' }),
    await post(deflateSync(lines), { 'content-encoding': 'deflate', 'content-type': 'application/x-ndjson' }),
    await post(deflateRawSync(batch), { 'content-encoding': 'deflate', 'content-type': 'application/x-protobuf' }),
  ];
  for (const response of responses) {
    assert.equal(response.status, 202);
    assert.deepEqual(await response.json(), { accepted: 2, rejected: [] });
  }
  assert.equal((await logged()).length, 12);
});

test('IoTData is accepted beside reports', async (t) => {
  const { post, logged } = await startIngest(t);
  const { IoTData, IoTDataBatch } = tailrace.v1;
  const message = {
    deviceId: 'plant1.a',
    timestamp: 1_634_567_890_123,
    readings: [{ sensorId: 'temperature', value: 42.5, unit: 'Cel' }],
  };
  const single = await post(IoTData.encode(message).finish(), { 'content-type': 'application/x-protobuf' });
  assert.deepEqual(await single.json(), { accepted: 1, rejected: [] });
  const type = 'application/x-protobuf; proto=tailrace.v1.IoTDataBatch';
  const batch = await post(IoTDataBatch.encode({ messages: [message, message] }).finish(), { 'content-type': type });
  assert.deepEqual(await batch.json(), { accepted: 2, rejected: [] });
  for (const { received, ...report } of await logged())
    assert.deepEqual(report, { ...reportOf('plant1.a'), time: 1_634_567_890_123 });
});

test('a large body is appended in chunks that do not wait for each other or delay other senders, and its sender keeps the order', async (t) => {
  const { post, appendSizes: sizes, hold, logged } = await startIngest(t);
  const release = hold();
  const ids = Array.from({ length: 1_200 }, (_, index) => `l${index}`);
  const large = post(JSON.stringify(ids.map((id) => reportOf('plant1.a', { id }))));
  await eventually(() => assert.equal(sizes[0], 500));
  const next = post(JSON.stringify(reportOf('plant1.a', { id: 'next' })));
  const authorization = `Bearer ${await tokenFor(['plant1.>'], { subject: 'gateway8' })}`;
  const other = post(JSON.stringify(reportOf('plant1.b')), { authorization });
  // The log has confirmed none of them.
  await eventually(() =>
    assert.deepEqual(
      sizes.toSorted((a, b) => b - a),
      [500, 500, 200, 1, 1],
    ),
  );
  assert.deepEqual(
    sizes.filter((size) => size > 1),
    [500, 500, 200],
  );
  release();
  const answers = await Promise.all([large, next, other]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [202, 202, 202],
  );
  assert.deepEqual(await answers[0].json(), { accepted: 1_200, rejected: [] });
  const ofDevice = (await logged()).filter(({ device }) => device === 'plant1.a');
  assert.deepEqual(
    ofDevice.map(({ id }) => id),
    [...ids, 'next'],
  );
});

test('the answer lists invalid reports, the others are in the log, and all are counted', async (t) => {
  const { post, logged, metric } = await startIngest(t);
  const response = await post(JSON.stringify([reportOf('plant1.a'), reportOf('plant2.b'), { device: 'plant1.c' }]));
  assert.equal(response.status, 202);
  const { accepted, rejected } = (await response.json()) as {
    accepted: number;
    rejected: { index: number; code: string }[];
  };
  assert.equal(accepted, 1);
  assert.deepEqual(
    rejected.map(({ index, code }) => [index, code]),
    [
      [1, 'forbidden'],
      [2, 'invalid_report'],
    ],
  );
  assert.deepEqual(
    (await logged()).map(({ device }) => device),
    ['plant1.a'],
  );
  assert.equal(await metric('tailrace_ingest_accepted_reports_total'), 1);
  assert.equal(await metric('tailrace_ingest_accepted_readings_total'), 1);
  assert.equal(await metric('tailrace_ingest_rejected_reports_total{code="forbidden"}'), 1);
  assert.equal(await metric('tailrace_ingest_requests_total{outcome="partly_accepted"}'), 1);
  assert.equal(await metric('tailrace_ingest_append_duration_seconds_count'), 1);
  assert.equal(await metric('tailrace_ingest_in_flight_bytes'), 0);
  assert.equal(await metric('tailrace_ingest_in_flight_requests'), 0);
});

interface Refusal {
  readonly error: { readonly code: string; readonly message: string };
}

async function refusalOf(response: Response, status: number): Promise<Refusal['error']> {
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.equal(response.headers.get('content-type'), 'application/json');
  return (JSON.parse(text) as Refusal).error;
}

test('without a valid token nothing is accepted, and the answer has the reason', async (t) => {
  const { post, logged } = await startIngest(t);
  const body = JSON.stringify(reportOf('plant1.a'));
  const cases: readonly (readonly [authorization: string, message: RegExp])[] = [
    ['', /expected the header "Authorization: Bearer <token>", got none/],
    ['Basic dXNlcjpwYXNz', /expected the header "Authorization/],
    ['Bearer nonsense', /malformed/],
    [`Bearer ${await tokenFor(['plant1.>'], { expiresInMs: -60_000 })}`, /expired/],
    [`Bearer ${(await tokenFor(['plant1.>'])).slice(0, -4)}AAAA`, /another key|changed/],
  ];
  for (const [authorization, message] of cases) {
    const response = await post(body, { authorization });
    assert.equal(response.headers.get('www-authenticate'), 'Bearer');
    const error = await refusalOf(response, 401);
    assert.equal(error.code, 'unauthorized');
    assert.match(error.message, message);
  }
  assert.equal((await logged()).length, 0);
});

/** Revokes the tokens of `gateway7`, as another process does. */
async function revokeAll(eventLog: EventLog): Promise<void> {
  const control = new ControlTopic({
    eventLog,
    topicPrefix: 'tailrace',
    clock: systemClock,
    logger: silentLogger,
    onCredentials() {},
    onRevocations() {},
  });
  await control.revoke({ subject: 'gateway7', issuedBefore: Date.now() + 1_000 });
  control.stop();
}

test('a token that another process revokes is refused within two seconds, also if it was accepted before', async (t) => {
  const { post, eventLog } = await startIngest(t);
  const body = JSON.stringify(reportOf('plant1.a'));
  assert.equal((await post(body)).status, 202);
  await revokeAll(eventLog);
  await eventually(
    async () => assert.match((await refusalOf(await post(body), 401)).message, /was revoked; get a new one/),
    { deadlineMs: 2_000 },
  );
});

test('a token that was revoked before the start is refused by the first request', async (t) => {
  const { eventLog } = await startIngest(t);
  await revokeAll(eventLog);
  const { post } = await startIngest(t, { eventLog });
  await refusalOf(await post(JSON.stringify(reportOf('plant1.a'))), 401);
});

test('a token that covers none of the devices is a 403', async (t) => {
  const { post } = await startIngest(t);
  const error = await refusalOf(await post(JSON.stringify([reportOf('plant2.a'), reportOf('plant2.b')])), 403);
  assert.equal(error.code, 'forbidden');
  assert.match(error.message, /"plant2.a" is not covered: the token of "gateway7" may publish plant1.>/);
});

test('malformed JSON is a 400 with the place, and the next request is not affected', async (t) => {
  const { post } = await startIngest(t);
  const error = await refusalOf(await post('[{"device":"plant1.a" "time":1}]'), 400);
  assert.match(error.message, /line 1, column 23: expected "," or "}", got "\\"", near/);
  assert.equal((await post(JSON.stringify(reportOf('plant1.a')))).status, 202);
});

test('a body over the limit is a 413, declared, chunked or unpacked; so are too many reports', async (t) => {
  const { post } = await startIngest(t, { settings: { bodyBytesMax: 2_000, reportsPerRequestMax: 3 } });
  const large = ' '.repeat(2_001);
  const chunked = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(large));
      controller.close();
    },
  });
  assert.match((await refusalOf(await post(large), 413)).message, /expected at most 2000 bytes, got 2001 bytes/);
  assert.match((await refusalOf(await post(chunked), 413)).message, /at most 2000/);
  assert.match(
    (await refusalOf(await post(gzipSync(large), { 'content-encoding': 'gzip' }), 413)).message,
    /the unpacked body: expected at most 2000 bytes, got more/,
  );
  assert.match((await refusalOf(await post('[1,2,3,4]'), 413)).message, /expected at most 3 reports, got 4/);
});

test('an unknown content type or encoding is a 415 that names the known ones', async (t) => {
  const { post, url, token } = await startIngest(t);
  assert.match(
    (await refusalOf(await post('a=b', { 'content-type': 'text/csv' }), 415)).message,
    /expected application\/json.*, got "text\/csv"/,
  );
  const encoded = await post('[]', { 'content-encoding': 'br' });
  assert.equal(encoded.headers.get('accept-encoding'), 'gzip, deflate');
  assert.match((await refusalOf(encoded, 415)).message, /expected gzip, deflate or none, got "br"/);
  // The default content type of curl.
  const { status, body } = await curl(`${url}/v1/ingest`, '--header', `Authorization: Bearer ${token}`, '--data', '{}');
  assert.equal(status, 415);
  assert.match(body, /x-www-form-urlencoded/);
});

test('the error of other paths and methods names the expected ones', async (t) => {
  const { url } = await startIngest(t);
  const elsewhere = await refusalOf(await fetch(`${url}/v1/ingests`, { method: 'POST', body: '{}' }), 404);
  assert.match(elsewhere.message, /expected POST \/v1\/ingest, got "POST \/v1\/ingests"/);
  const wrongMethod = await fetch(`${url}/v1/ingest`);
  assert.equal(wrongMethod.headers.get('allow'), 'POST, OPTIONS');
  assert.match((await refusalOf(wrongMethod, 405)).message, /"GET \/v1\/ingest"/);
});

test('an answer to HEAD has no body, so that the connection can be used again', async (t) => {
  const { port } = await startIngest(t);
  const socket = await connectRaw({ port });
  t.after(() => socket.close());
  for (let n = 0; n < 2; n++) {
    socket.write('HEAD /v1/ingest HTTP/1.1\r\nHost: ingest\r\n\r\n');
    assert.equal((await readResponse(socket, { hasBody: false })).status, 405);
  }
});

test('a page of an allowed origin may send from a browser, a page of another may not', async (t) => {
  const { url, post } = await startIngest(t, { settings: { allowedOrigins: ['https://plant.example'] } });
  const preflight = (origin: string) =>
    fetch(`${url}/v1/ingest`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });
  const allowed = await preflight('https://plant.example');
  assert.equal(allowed.status, 200);
  assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://plant.example');
  assert.match(allowed.headers.get('access-control-allow-headers') ?? '', /Authorization/);
  assert.equal((await preflight('https://elsewhere.example')).headers.get('access-control-allow-origin'), null);
  // Also errors: the page could not read them otherwise.
  const refused = await post('oops', { origin: 'https://plant.example' });
  assert.equal(refused.headers.get('access-control-allow-origin'), 'https://plant.example');
  assert.equal(refused.status, 400);
});
