import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { bearerToken } from '@tailrace/platform/bearer-token';
import type { BodyReaderOptions } from '@tailrace/platform/body-reader';
import { type Logger, silentLogger } from '@tailrace/platform/logger';
import { respond, watchAbort } from '@tailrace/platform/web-response';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { queryParameter } from '../src/transport.ts';
import { createWebServer } from '../src/uws-transport.ts';

interface Call {
  readonly error: TailraceError | undefined;
  readonly body: Buffer;
}

const statuses: Readonly<Record<string, number>> = {
  invalid_message: 400,
  too_large: 413,
  timeout: 408,
  limit_reached: 503,
  closed: 499,
};

/** Starts a server that answers a body with its length, and records the calls of `BodyCall`. */
async function serving(t: TestContext, options: Partial<BodyReaderOptions> & { logger?: Logger } = {}) {
  const clock = createFakeClock();
  const server = createWebServer({
    host: '127.0.0.1',
    port: 0,
    logger: silentLogger,
    clock,
    bodyMs: 1_000,
    ...options,
  });
  const calls: Call[] = [];
  const waiting: (() => void)[] = [];
  const started = Promise.withResolvers<void>();
  server.app.post(
    '/body',
    server.guarded((res, req) => {
      started.resolve();
      server.readBody(res, req, 1_000, (error, body) => {
        calls.push({ error, body });
        respond(
          res,
          error ? (statuses[error.code] ?? 500) : 200,
          [['X-Seen', 'yes']],
          error?.message ?? `${body.length}`,
        );
        for (const resolve of waiting.splice(0)) resolve();
      });
    }),
  );
  const { port } = await server.listen();
  t.after(() => server.close());
  const called = () => new Promise<void>((resolve) => void (calls.length > 0 ? resolve() : waiting.push(resolve)));
  return { server, clock, port, calls, called, started: started.promise, url: `http://127.0.0.1:${port}` };
}

/** Returns a free port, to use as a fixed one: uWebSockets.js sets the options of sharing and reuse for those only. */
async function fixedPort(): Promise<number> {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as { port: number };
  await new Promise((resolve) => holder.close(resolve));
  return port;
}

/** Opens a connection on which the test writes the bytes of HTTP itself. */
async function rawSocket(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  t.after(() => socket.destroy());
  return socket;
}

test('port 0 listens on a free port and returns it', async (t) => {
  const { port } = await serving(t);
  assert.ok(port > 0);
});

test('a body arrives whole, and the answer with its status, headers and text', async (t) => {
  const { url, calls } = await serving(t);
  const response = await fetch(`${url}/body`, { method: 'POST', body: 'a'.repeat(999) });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('x-seen'), 'yes');
  assert.equal(await response.text(), '999');
  assert.equal(calls[0]?.body.toString(), 'a'.repeat(999));
});

test('an empty body is an empty body', async (t) => {
  const { url } = await serving(t);
  assert.equal(await (await fetch(`${url}/body`, { method: 'POST' })).text(), '0');
});

test('a chunked body without a length is reassembled, and limited as well', async (t) => {
  const { port, calls, called } = await serving(t);
  const socket = await rawSocket(t, port);
  socket.write('POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
  socket.write('6\r\n world\r\n0\r\n\r\n');
  await called();
  assert.equal(calls[0]?.body.toString(), 'hello world');

  const second = await rawSocket(t, port);
  second.write('POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
  const chunk = `1f4\r\n${'x'.repeat(500)}\r\n`;
  second.write(chunk.repeat(5));
  assert.match(await text(second), /^HTTP\/1\.1 413 /);
  assert.equal(calls[1]?.error?.code, 'too_large');
});

test('a body slightly too large gets 413 once all of it is received', async (t) => {
  const { port } = await serving(t);
  const socket = await rawSocket(t, port);
  socket.write(`POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1500\r\n\r\n${'x'.repeat(1500)}`);
  assert.match(await text(socket), /^HTTP\/1\.1 413 /);
});

test('a response closes its connection, so that no balancer sends the next request on a closing one', async (t) => {
  const { port } = await serving(t);
  const socket = await rawSocket(t, port);
  socket.write('POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok');
  assert.match(await text(socket), /^HTTP\/1\.1 200 [\s\S]*\r\nConnection: close\r\n/i);
});

test('a body far too large is refused by its length alone, and the connection is closed', async (t) => {
  const { port, calls } = await serving(t);
  const socket = await rawSocket(t, port);
  socket.write('POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n');
  assert.match(
    await text(socket),
    /^HTTP\/1\.1 413 [\s\S]*the body: expected at most 1000 bytes, got 10000000000 bytes/,
  );
  assert.equal(calls.length, 1);
});

test('an interrupted upload is reported as closed, leaves nothing, and the server continues', async (t) => {
  const { port, url, calls, called, started, server } = await serving(t);
  const socket = await rawSocket(t, port);
  socket.write('POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf');
  await started;
  socket.destroy();
  await called();
  assert.equal(calls[0]?.error?.code, 'closed');
  assert.deepEqual(server.unfinishedBodies(), { count: 0, bytes: 0, bytesMax: 64 * 1024 * 1024 });
  assert.equal((await fetch(`${url}/body`, { method: 'POST', body: 'x' })).status, 200);
});

test('a slow body is terminated at its deadline', async (t) => {
  const { port, clock, calls, started } = await serving(t);
  const socket = await rawSocket(t, port);
  socket.write('POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nha');
  await started;
  await clock.advance(1_250);
  assert.match(await text(socket), /^HTTP\/1\.1 408 /);
  assert.equal(calls[0]?.error?.code, 'timeout');
});

test('a response after the client has left does nothing', async (t) => {
  const { server, port } = await serving(t);
  const aborted = Promise.withResolvers<boolean>();
  const entered = Promise.withResolvers<void>();
  server.app.get('/slow', (res) => {
    watchAbort(res, () => aborted.resolve(respond(res, 200, [], 'late')));
    entered.resolve();
  });
  const socket = await rawSocket(t, port);
  socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
  await entered.promise;
  socket.destroy();
  assert.equal(await aborted.promise, false);
});

test('a handler that throws is answered with 500 and logged, and the server continues', async (t) => {
  const messages: string[] = [];
  const logger: Logger = { ...silentLogger, error: (_, message) => void messages.push(message) };
  const { server, url } = await serving(t, { logger });
  server.app.get(
    '/throws',
    server.guarded(() => {
      throw new TailraceError('internal', 'inner secret');
    }),
  );
  const response = await fetch(`${url}/throws`);
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /inner secret/);
  assert.equal(messages.length, 1);
  assert.equal((await fetch(`${url}/body`, { method: 'POST' })).status, 200);
});

test('bearer tokens and query parameters are decoded', async (t) => {
  const { server, url } = await serving(t);
  server.app.get('/who', (res, req) => {
    const token = bearerToken(req.getHeader('authorization'));
    const channel = queryParameter({ query: req.getQuery() }, 'channel');
    respond(res, 200, [], JSON.stringify([token ?? null, channel ?? null]));
  });
  const who = async (query: string, authorization?: string) =>
    (await fetch(`${url}/who${query}`, authorization === undefined ? {} : { headers: { authorization } })).json();
  assert.deepEqual(await who('?channel=plant1.%3E', 'Bearer a.b.c'), ['a.b.c', 'plant1.>']);
  assert.deepEqual(await who('?x=1&channel=a+b', 'bearer   a.b.c '), ['a.b.c', 'a b']);
  assert.deepEqual(await who('', 'Basic abc'), [null, null]);
  assert.deepEqual(await who('?channel=', 'Bearer '), [null, '']);
});

test('a request head of 16 KB is accepted, and a larger one refused with 431', async (t) => {
  const { url } = await serving(t);
  const post = (bytes: number) =>
    fetch(`${url}/body`, { method: 'POST', headers: { authorization: `Bearer ${'a'.repeat(bytes)}` } });
  assert.equal((await post(8_192)).status, 200);
  assert.equal((await post(16_000)).status, 200);
  assert.equal((await post(16_384)).status, 431);
});

test('a request may be split at any byte', async (t) => {
  const { port } = await serving(t);
  const request = 'POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok';
  const statuses = await Promise.all(
    Array.from({ length: request.length - 1 }, async (_, i) => {
      const socket = await rawSocket(t, port);
      socket.setNoDelay(true);
      socket.write(request.slice(0, i + 1));
      // The first part has arrived once a later request is answered.
      await fetch(`http://127.0.0.1:${port}/body`, { method: 'POST', body: 'x' });
      socket.write(request.slice(i + 1));
      const [answer] = await once(socket, 'data');
      return String(answer).slice(0, 12);
    }),
  );
  assert.deepEqual(new Set(statuses), new Set(['HTTP/1.1 200']));
});

test('two different Content-Lengths are refused, since a proxy may take the other one', async (t) => {
  const { port } = await serving(t);
  const socket = await rawSocket(t, port);
  socket.write('POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok');
  assert.match(await text(socket), /^HTTP\/1\.1 400 [\s\S]*expected one Content-Length/);
});

test('a port in use is an error of one line with the setting to change, whichever process holds it', async (t) => {
  const ownPort = await fixedPort();
  const first = createWebServer({ host: '127.0.0.1', port: ownPort, logger: silentLogger });
  t.after(() => first.close());
  await first.listen();
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  t.after(() => holder.close());
  for (const port of [ownPort, (holder.address() as { port: number }).port]) {
    const second = createWebServer({ host: '127.0.0.1', port, portSetting: 'streamPort', logger: silentLogger });
    await assert.rejects(second.listen(), (error: TailraceError) => {
      assert.equal(error.code, 'address_in_use');
      assert.match(
        error.message,
        new RegExp(`^port ${port} on 127\\.0\\.0\\.1 is in use.*streamPort \\(TAILRACE_STREAM_PORT\\)`),
      );
      return !error.message.includes('\n');
    });
    second.close();
  }
});

test('a host that is no address of this machine is an invalid config', async () => {
  const server = createWebServer({ host: '203.0.113.1', port: 0, logger: silentLogger });
  await assert.rejects(server.listen(), {
    code: 'invalid_config',
    message: /203\.0\.113\.1 is no address of this machine/,
  });
});

test('after stopListening open connections are answered and new ones refused; close terminates the rest', async (t) => {
  const { server, port, started } = await serving(t);
  const [first, second] = [await rawSocket(t, port), await rawSocket(t, port)];
  first.setEncoding('utf8');
  // Both are accepted once the later one has reached the handler.
  second.write('POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n');
  await started;
  server.stopListening();
  first.write('POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok');
  assert.match((await once(first, 'data'))[0], /^HTTP\/1\.1 200 /);
  await assert.rejects(fetch(`http://127.0.0.1:${port}/body`, { method: 'POST' }));
  const closed = once(second, 'close');
  server.close();
  server.close();
  await closed;
});

test('a port can be used again as soon as its server is closed, while old connections time out', async (t) => {
  const port = await fixedPort();
  for (let iteration = 0; iteration < 2; iteration++) {
    const server = createWebServer({ host: '127.0.0.1', port, logger: silentLogger });
    server.app.get('/*', (res) => void respond(res, 200, [], 'x'));
    assert.equal((await server.listen()).port, port);
    const socket = await rawSocket(t, port);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    const closed = once(socket, 'close');
    server.close();
    await closed;
  }
});
