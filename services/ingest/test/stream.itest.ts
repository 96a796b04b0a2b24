import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { connectRaw, type RawSocket, readResponse } from '@tailrace/testkit/raw-socket';
import { configSchema } from '../src/config.ts';
import { createHttpTransport } from '../src/http-transport.ts';
import type { HttpExchange } from '../src/transport.ts';
import { reportOf, startIngest, tokenSecret } from './ingest-fixture.ts';

failOnLeaks();

const line = `${JSON.stringify(reportOf('plant1.a'))}\n`;
const chunkOf = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

function headOf(token: string, ...fields: string[]): string {
  const own = [`Authorization: Bearer ${token}`, 'Content-Type: application/x-ndjson', 'Transfer-Encoding: chunked'];
  return `${['POST /v1/ingest HTTP/1.1', 'Host: ingest', ...own, ...fields].join('\r\n')}\r\n\r\n`;
}

async function rawTo(t: TestContext, port: number): Promise<RawSocket> {
  const socket = await connectRaw({ port });
  t.after(() => socket.close());
  return socket;
}

test('a stream is answered on a connection that serves the next request', async (t) => {
  const { port, token, logged } = await startIngest(t);
  const socket = await rawTo(t, port);
  for (let request = 0; request < 2; request++) {
    socket.write(`${headOf(token)}${chunkOf(line)}${chunkOf(line.slice(0, 20))}`);
    socket.write(`${chunkOf(line.slice(20))}0\r\n\r\n`);
    const response = await readResponse(socket);
    assert.equal(response.status, 202);
    assert.equal(JSON.parse(response.body).accepted, 2);
  }
  assert.equal((await logged()).length, 4);
});

test('a client that waits for 100 Continue receives it before the head of an answer with the progress', async (t) => {
  const { port, token } = await startIngest(t);
  const socket = await rawTo(t, port);
  socket.write(headOf(token, 'Expect: 100-continue', 'Accept: application/x-ndjson'));
  assert.match(String(await socket.readUntil('\r\n\r\n')), /^HTTP\/1\.1 100 Continue\r\n/);
  const head = String(await socket.readUntil('\r\n\r\n'));
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(head, /content-type: application\/x-ndjson\r\n/i);
  socket.write(`${chunkOf(line)}0\r\n\r\n`);
  const rest = String(await socket.readUntil('0\r\n\r\n'));
  assert.match(rest, /\{"result":\{"accepted":1,"rejectedCount":0,"rejected":\[\],"codes":\{\}\}\}\n/);
});

test('a client of HTTP/1.0 that accepts the progress receives a whole answer', async (t) => {
  const { port, token } = await startIngest(t, { settings: { bodyBytesMax: 1_024 } });
  const socket = await rawTo(t, port);
  const body = line.repeat(20);
  socket.write(
    [
      'POST /v1/ingest HTTP/1.0',
      `Authorization: Bearer ${token}`,
      'Content-Type: application/x-ndjson',
      'Accept: application/x-ndjson',
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n'),
  );
  const response = await readResponse(socket);
  assert.equal(response.status, 202);
  assert.equal(JSON.parse(response.body).accepted, 20);
});

test('an invalid chunk in the middle of a stream is a 400 with the line to continue from, and closes the connection', async (t) => {
  const { port, token, metricIs } = await startIngest(t);
  for (const accept of ['application/json', 'application/x-ndjson']) {
    const socket = await rawTo(t, port);
    socket.write(`${headOf(token, `Accept: ${accept}`)}${chunkOf(line)}`);
    await metricIs('tailrace_ingest_in_flight_bytes', 0);
    socket.write('xyz\r\n');
    const text = String(await socket.readToEnd());
    assert.match(text, accept === 'application/json' ? /^HTTP\/1\.1 400 / : /^HTTP\/1\.1 200 /);
    assert.match(text, /"error":\{"code":"invalid_message".*"resume":\{"line":\d,"byte":\d+\}/);
  }
  await metricIs('tailrace_ingest_streams', 0);
});

test('a client that is still sending reads the answer to a stream that failed', async (t) => {
  const { port, token, hold, ingest, appendSizes } = await startIngest(t);
  const release = hold();
  const socket = await rawTo(t, port);
  socket.write(headOf(token));
  // More than the buffers of both sides hold: the client is paused.
  for (let part = 0; part < 300; part++) socket.write(chunkOf(line.repeat(400)));
  await eventually(() => assert.equal(appendSizes.length, 4));
  assert.ok(socket.unsentBytes() > 0);
  const drained = ingest.drain();
  release();
  const response = await readResponse(socket);
  assert.equal(response.status, 503);
  assert.equal(response.headers['connection'], 'close');
  const { error, resume, accepted } = JSON.parse(response.body);
  assert.deepEqual([error.code, error.retryable, resume.line], ['closed', true, accepted + 1]);
  await socket.closed;
  await drained;
});

test('parts of an answer are left out while 64 KiB wait for the client, and the last one is not', async (t) => {
  const config = configSchema.parse({ host: '127.0.0.1', port: 0, tokenSecret });
  const transport = createHttpTransport({ config, clock: systemClock, logger: silentLogger });
  t.after(() => transport.close());
  const exchanged = Promise.withResolvers<HttpExchange>();
  const port = await transport.listen({ request: exchanged.resolve, refused() {}, isNearLimit: () => false });
  const socket = await rawTo(t, port);
  socket.stopReading();
  socket.write('POST /v1/ingest HTTP/1.1\r\nHost: ingest\r\nTransfer-Encoding: chunked\r\n\r\n');
  const exchange = await exchanged.promise;
  exchange.streamBody({ streamData() {}, streamEnd() {} }, { unfinishedBytes: 0 });
  exchange.answerHead(200, []);
  const part = `${'x'.repeat(9_999)}\n`;
  let parts = 0;
  // The buffers of both kernels take some first.
  for (let leftOut = 0; leftOut < 50; leftOut++) {
    while (exchange.answerPart(part)) parts++;
    assert.ok(parts < 5_000, `${parts} parts`);
    await setImmediate();
  }
  exchange.answerEnd('the last one');
  socket.startReading();
  const text = String(await socket.readUntil('0\r\n\r\n'));
  assert.match(text, /the last one\r\n0\r\n\r\n$/);
  assert.equal(text.match(/x{9999}\n/g)?.length, parts);
});

test('a stream is not replaced when connections are at their limit, and other connections are', async (t) => {
  const { port, token, metricIs } = await startIngest(t, { settings: { connectionsMax: 2 } });
  const stream = await rawTo(t, port);
  stream.write(`${headOf(token)}${chunkOf(line)}`);
  await metricIs('tailrace_ingest_streams', 1);
  // In its first 25 ms a connection counts as new.
  await sleep(50);
  const idle = await rawTo(t, port);
  const third = await rawTo(t, port);
  // Both are as new. The stream has waited longer than either.
  await Promise.race([idle.closed, third.closed]);
  stream.write('0\r\n\r\n');
  assert.equal((await readResponse(stream)).status, 202);
});
