import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { issueToken } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { connectRaw, exchange, type RawResponse, type RawSocket, readResponse } from '@tailrace/testkit/raw-socket';
import { startNode, type TestNode, tokenSecret } from './node.ts';
import { assertServes, refusal, welcomed } from './stream-client.ts';

failOnLeaks();

let node: TestNode;
before(async () => {
  node = await startNode({ connectionsMax: 20 });
});
after(() => node.stop());

const get = (path: string, headers: readonly string[] = []) =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`;

const handshakeHeaders = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

async function raw(): Promise<RawSocket> {
  return connectRaw({ port: node.port });
}

/** Sends a request on a new connection: every response here closes its connection. */
async function ask(request: string, options: { hasBody?: boolean } = {}): Promise<RawResponse> {
  const socket = await raw();
  socket.write(request);
  const response = await readResponse(socket, options);
  await socket.closed;
  socket.close();
  return response;
}

test('plain HTTP on the stream port gets an error that names the stream', async () => {
  const upgrade = await ask(get('/v1/stream'));
  assert.equal(upgrade.status, 426);
  assert.equal(upgrade.headers['upgrade'], 'websocket');
  assert.match(upgrade.body, /expected a WebSocket handshake \(RFC 6455\)/);
  for (const path of ['/v1', '/v1/streams', `/${'x'.repeat(2_000)}`]) {
    const { status, body } = await ask(get(path));
    assert.equal(status, 404);
    assert.match(body, /expected one of a WebSocket handshake at \/v1\/stream, GET \/v1\/route, GET \/v1\/devices, /);
  }
  const { body } = await ask(get('/v1/route/plant1.press7'));
  assert.match(body, /got \\"GET \/v1\/route\/plant1\.press7\\"/);
});

test('the default health checks of load balancers are answered, and their connections closed', async () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS']) {
    for (const path of ['/', '/healthz']) {
      const request = `${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
      const { status, headers } = await ask(request, { hasBody: method !== 'HEAD' });
      assert.deepEqual([status, headers['connection']], [200, 'close'], `${method} ${path}`);
    }
  }
});

test('a node that drains answers 503 to health checks', async () => {
  const leaving = await startNode();
  await leaving.fanout.drain();
  const socket = await connectRaw({ port: leaving.port });
  const { status, body } = await exchange(socket, get('/healthz'));
  assert.deepEqual([status, body], [503, '{"status":"draining"}']);
  socket.close();
  await leaving.stop();
});

test('a handshake may be split at any byte', async () => {
  const request = get('/v1/stream', handshakeHeaders);
  const statuses = new Set<number>();
  // In groups: the node accepts 20 connections.
  for (let start = 1; start < request.length; start += 16) {
    const offsets = Array.from({ length: Math.min(16, request.length - start) }, (_, i) => start + i);
    const sockets = await Promise.all(offsets.map(raw));
    for (const [i, socket] of sockets.entries()) socket.write(request.slice(0, offsets[i]));
    // The first parts have arrived once a later request is answered.
    await ask(get('/healthz'));
    for (const [i, socket] of sockets.entries()) socket.write(request.slice(offsets[i]));
    for (const socket of sockets) {
      statuses.add((await readResponse(socket)).status);
      socket.close();
    }
    await eventually(async () => assert.equal(await node.metric('tailrace_fanout_connections'), 0));
  }
  assert.deepEqual([...statuses], [101]);
});

test('a token of 100 patterns and cookies of 6 KiB fit into the head of a handshake', async () => {
  const subscribe = Array.from({ length: 100 }, (_, i) => `plant1.hall${i}.line${i}.machines.>`);
  const token = await issueToken({ secret: tokenSecret, subject: 's', publish: [], subscribe, expiresInMs: 3_600_000 });
  assert.ok(token.length > 4_096, `${token.length}`);
  const headers = { Authorization: `Bearer ${token}`, Cookie: `c=${'x'.repeat(6_144)}` };
  const ws = await node.connect({ headers });
  assert.ok('welcome' in ((await ws.nextJson()) as object));
  ws.close();
  await ws.closed;
  const route = await ask(get(`/v1/route?device=plant1.hall7.line7.machines.a&token=${token}`));
  assert.equal(route.status, 200, route.body);
});

test('two different lengths of a body are refused', async () => {
  const { status, body } = await ask(
    'POST /v1/notice HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
  );
  assert.deepEqual([status, JSON.parse(body).error.code], [400, 'invalid_message']);
});

test('garbage instead of a handshake is refused, and never opens a connection', async () => {
  const handshake = handshakeHeaders.slice(0, 3);
  const key = handshakeHeaders[3]!;
  const requests = [
    get('/v1/stream', handshake),
    get('/v1/stream', [...handshake, 'Sec-WebSocket-Key: short']),
    get('/v1/stream', [...handshake, 'Sec-WebSocket-Key: ']),
    `POST /v1/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`,
    get('/v1/elsewhere', [...handshake, key]),
    get('/v1/stream', [...handshake, key, `X-Padding: ${'x'.repeat(17_000)}`]),
    get(`/v1/stream?token=${'x'.repeat(17_000)}`, [...handshake, key]),
    '\r\n\r\n',
    'GET\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    `GET /v1/stream HTTP/9.9\r\n\r\n`,
  ];
  for (const request of requests) {
    const socket = await raw();
    socket.write(request);
    socket.halfClose();
    const answer = (await socket.readToEnd({ deadlineMs: 15_000 })).toString('latin1');
    assert.doesNotMatch(answer, /^HTTP\/1\.1 101/, request.slice(0, 80));
    socket.close();
  }
  await assertServes(node);
});

test('clients with malformed queries have no token', async () => {
  for (const query of [
    '',
    '?',
    '?channel=p.d',
    '?token',
    '?%zz=%',
    '?token=%00',
    '?channel=%F0%9F%98%80',
    '?token=&token=x',
  ]) {
    const ws = await node.connect({ path: `/v1/stream${query}` });
    ws.sendText('{"ping":{"t":1}}');
    const { error, close } = await refusal(ws);
    assert.deepEqual([error.code, close], ['unauthorized', 4401], query);
  }
});

test('a node with its maximum of clients answers 503, and accepts one again when one has left', async () => {
  const clients = await Promise.all(Array.from({ length: 20 }, () => welcomed(node)));
  const socket = await raw();
  socket.write(get('/v1/stream', handshakeHeaders));
  const { status, headers, body } = await readResponse(socket);
  assert.deepEqual([status, headers['retry-after']], [503, '1']);
  assert.match(body, /expected at most 20 connections of this node, got one more: try another, or again/);
  socket.close();
  clients[0]!.close();
  await clients[0]!.closed;
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_connections'), 19));
  await assertServes(node);
  for (const client of clients.slice(1)) client.close();
  await Promise.all(clients.map(({ closed }) => closed));
});

test('a port in use is an error of one line', async () => {
  await assert.rejects(startNode({ port: node.port }), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'address_in_use');
    assert.doesNotMatch(error.message, /\n/);
    assert.match(error.message, new RegExp(`${node.port}`));
    return true;
  });
  await assertServes(node);
});
