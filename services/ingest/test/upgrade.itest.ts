import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { type Clock, systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { findJava } from '@tailrace/testkit/java';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { connectRaw, exchange, type RawSocket, readResponse } from '@tailrace/testkit/raw-socket';
import { connectRawWebSocket } from '@tailrace/testkit/raw-websocket';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { configSchema, type IngestConfig } from '../src/config.ts';
import type { DeviceSocket, DeviceSocketServer } from '../src/devices/device-socket.ts';
import { createHttpTransport } from '../src/http-transport.ts';
import type { HttpExchange } from '../src/transport.ts';
import { reportOf, startIngest } from './ingest-fixture.ts';

failOnLeaks();
const run = promisify(execFile);

interface ServingOptions {
  readonly settings?: Partial<IngestConfig>;
  readonly clock?: Clock;
  /** Called with each ordinary request. Default: answers 200. */
  readonly request?: (exchange: HttpExchange) => void;
}

const json = [['Content-Type', 'application/json']] as const;
const answerAll = (exchange: HttpExchange) => void exchange.answer(200, json, exchange.path);

/** A transport that accepts WebSockets at /device, refuses them at /full, and takes other requests as ordinary ones. */
async function serving(t: TestContext, { settings, clock = systemClock, request = answerAll }: ServingOptions = {}) {
  const config = configSchema.parse({ host: '127.0.0.1', port: 0, tokenSecret: 'x'.repeat(32), ...settings });
  const transport = createHttpTransport({ config, clock, logger: silentLogger });
  t.after(() => transport.close());
  const sockets: DeviceSocket[] = [];
  const server: DeviceSocketServer = {
    subprotocols: ['mqtt'],
    messageBytesMax: 1_000,
    accept: () => (socket) => {
      sockets.push(socket);
      return { message: (data) => socket.send(data.toString()), ping() {}, pong() {}, closed() {} };
    },
  };
  const refusal = { status: 503, outcome: 'overloaded', headers: json, body: '{"error":"full"}' } as const;
  const port = await transport.listen({
    request,
    refused() {},
    isNearLimit: () => false,
    upgrade: (head) => {
      if (head.path === '/full') return refusal;
      return head.path === '/device' ? { server, open: server.accept(head) } : undefined;
    },
  });
  return { port, transport, sockets };
}

async function rawTo(t: TestContext, port: number): Promise<RawSocket> {
  const socket = await connectRaw({ port });
  t.after(() => socket.close());
  return socket;
}

const handshake = ['Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const headText = (line: string, fields: readonly string[]) => `${[line, ...fields].join('\r\n')}\r\n\r\n`;

test('a refused WebSocket gets one answer, and its connection takes further requests', async (t) => {
  const { port, transport } = await serving(t);
  const socket = await rawTo(t, port);
  const full = await exchange(socket, headText('GET /full HTTP/1.1', [...handshake, key]));
  assert.deepEqual([full.status, full.body], [503, '{"error":"full"}']);
  const plain = await exchange(socket, headText('GET /plain HTTP/1.1', ['Host: x']));
  assert.deepEqual([plain.status, plain.body], [200, '/plain']);
  const opened = await exchange(socket, headText('GET /device HTTP/1.1', [...handshake, key]));
  assert.deepEqual([opened.status, opened.headers['sec-websocket-accept']], [101, 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=']);
  assert.equal(transport.connections.upgraded, 1);
});

test('a request with an upgrade in another form is an ordinary request', async (t) => {
  const { port, transport } = await serving(t);
  const fields = [...handshake, key];
  const cases: readonly (readonly [string, number])[] = [
    [headText('GET /device HTTP/1.0', fields), 200],
    [`${headText('GET /device HTTP/1.1', [...fields, 'Content-Length: 2'])}{}`, 200],
    [`${headText('GET /device HTTP/1.1', [...fields, 'Transfer-Encoding: chunked'])}2\r\n{}\r\n0\r\n\r\n`, 200],
    [headText('HEAD /device HTTP/1.1', fields), 200],
    [headText('GET /device HTTP/1.1', ['Host: x', 'Upgrade: websocket', key]), 200],
    [headText('GET /device HTTP/1.1', ['Host: x', 'Connection: Upgrade', 'Upgrade: h2c, websocket', key]), 200],
    [headText('GET /device HTTP/1.1', [...fields, 'Expect: 100-continue']), 200],
    [headText('GET /device HTTP/1.1', fields.slice(1)), 400],
    [headText('GET /other HTTP/1.1', fields), 200],
  ];
  for (const [request, status] of cases) {
    const socket = await rawTo(t, port);
    socket.write(request);
    const answer = await readResponse(socket, { hasBody: !request.startsWith('HEAD') });
    assert.equal(answer.status, status, request);
  }
  assert.equal(transport.connections.upgraded, 0);
});

test('a WebSocket behind a request without an answer does not overtake the answer', async (t) => {
  const open: HttpExchange[] = [];
  const { port, transport } = await serving(t, { request: (each) => void open.push(each) });
  const socket = await rawTo(t, port);
  socket.write(headText('GET /first HTTP/1.1', ['Host: x']) + headText('GET /device HTTP/1.1', [...handshake, key]));
  // Both are received at once, as ordinary requests.
  while (open.length < 2) await new Promise((resolve) => setImmediate(resolve));
  open[1]!.answer(426, json, 'second');
  open[0]!.answer(200, json, 'first');
  const answers = [await readResponse(socket), await readResponse(socket)];
  assert.deepEqual(
    answers.map(({ body }) => body),
    ['first', 'second'],
  );
  assert.equal(transport.connections.upgraded, 0);
});

test('a handshake that only the library refuses gets an error in JSON', async (t) => {
  const { port } = await serving(t);
  for (const fields of [[...handshake], [...handshake, key, 'Sec-WebSocket-Protocol: a, a']]) {
    const socket = await rawTo(t, port);
    const answer = await exchange(socket, headText('GET /device HTTP/1.1', fields));
    assert.equal(answer.status, 400);
    assert.equal(JSON.parse(answer.body).error.code, 'invalid_message');
    await socket.closed;
  }
});

test('bytes behind the head of the handshake are the first frames', async (t) => {
  const { port } = await serving(t);
  const socket = await rawTo(t, port);
  // "Hi", masked with zeros.
  const frame = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x48, 0x69]);
  socket.write(Buffer.concat([Buffer.from(headText('GET /device HTTP/1.1', [...handshake, key])), frame]));
  assert.equal((await readResponse(socket)).status, 101);
  assert.deepEqual(await socket.read(4), Buffer.from([0x81, 0x02, 0x48, 0x69]));
});

test('a client that resets its connection in the handshake closes no other connection', async (t) => {
  const { port, transport } = await serving(t);
  const other = await connectRawWebSocket({ port, path: '/device' });
  t.after(() => other.socket.close());
  for (let n = 0; n < 50; n++) {
    const socket = await rawTo(t, port);
    socket.write(headText('GET /device HTTP/1.1', [...handshake, key]));
    if (n % 2 === 1) await socket.readSome();
    socket.reset();
  }
  other.sendText('fine');
  assert.equal((await other.nextMessage()).payload.toString(), 'fine');
  while (transport.connections.size > 1) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(transport.connections.upgraded, 1);
});

test('at the limit of connections a new one replaces a socket that is not authenticated, and no other', async (t) => {
  const { port, transport, sockets } = await serving(t, { settings: { connectionsMax: 1 } });
  const connect = async () => {
    const client = await connectRawWebSocket({ port, path: '/device' });
    t.after(() => client.socket.close());
    return client;
  };
  const device = await connect();
  sockets[0]!.authenticated();
  const waiting = await connect();
  const newest = await connect();
  assert.equal((await waiting.closed).code, 1006);
  for (const client of [device, newest]) {
    client.sendText('fine');
    assert.equal((await client.nextMessage()).payload.toString(), 'fine');
  }
  assert.deepEqual([transport.connections.size, transport.connections.upgraded], [1, 2]);
});

test('a client that does not complete the body of an answered request is disconnected', async (t) => {
  // The 10 s pass in a tenth of a second.
  const clock: Clock = {
    ...systemClock,
    monotonic: () => systemClock.monotonic() * 100,
    every: (periodMs, call) => systemClock.every(periodMs / 100, call),
  };
  const { port, transport } = await serving(t, { clock });
  const socket = await rawTo(t, port);
  const head = headText('POST / HTTP/1.1', ['Host: x', 'Content-Length: 1000']);
  assert.equal((await exchange(socket, head)).status, 200);
  await socket.closed;
  assert.equal(transport.connections.counts.unfinished, 1);
});

/** Posts a report with and without a body by HTTP/2's `Upgrade: h2c`, which Java adds to every request. */
const javaProgram = `
import java.net.URI;
import java.net.http.*;
public class Post {
  public static void main(String[] args) throws Exception {
    var client = HttpClient.newHttpClient();
    for (var body : new String[] { args[2], "" }) {
      var request = HttpRequest.newBuilder(URI.create(args[0])).header("Authorization", "Bearer " + args[1])
        .header("Content-Type", "application/json")
        .POST(body.isEmpty() ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(body)).build();
      var response = client.send(request, HttpResponse.BodyHandlers.ofString());
      System.out.println(response.statusCode() + " " + response.version());
    }
    var get = HttpRequest.newBuilder(URI.create(args[0]).resolve("/healthz")).build();
    System.out.println(client.send(get, HttpResponse.BodyHandlers.ofString()).statusCode());
  }
}`;

test("Java's HttpClient posts to ingest although it accepts WebSockets, with and without a body", async (t) => {
  const { url, token } = await startIngest(t);
  const java = await findJava(process.env);
  const dir = await createTempDir('java-client');
  t.after(() => dir.remove());
  const file = join(dir.path, 'Post.java');
  await writeFile(file, javaProgram);
  const args = [file, `${url}/v1/ingest`, token, JSON.stringify(reportOf('plant1.a'))];
  const { stdout } = await run(java.command, args, { timeout: 60_000 });
  assert.deepEqual(stdout.trim().split('\n'), ['202 HTTP_1_1', '400 HTTP_1_1', '200']);
});

test('curl --http2 posts to ingest although it accepts WebSockets, with and without a body', async (t) => {
  const { url, token } = await startIngest(t);
  const status = ['--silent', '--http2', '--max-time', '10', '--output', '/dev/null', '--write-out', '%{http_code} '];
  const fields = ['--header', `Authorization: Bearer ${token}`, '--header', 'Content-Type: application/json'];
  const body = JSON.stringify(reportOf('plant1.a'));
  const results = [
    await run('curl', [...status, ...fields, '--data', body, `${url}/v1/ingest`]),
    await run('curl', [...status, ...fields, '--request', 'POST', `${url}/v1/ingest`]),
    await run('curl', [...status, `${url}/healthz`]),
  ];
  assert.equal(results.map(({ stdout }) => stdout).join(''), '202 400 200 ');
});
