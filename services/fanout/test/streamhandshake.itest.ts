import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leakcheck';
import { connectRaw, exchange, type RawSocket, readResponse } from '@tailrace/testkit/rawsocket';
import { startNode, type TestNode } from './node.ts';
import { assertServes, refusal, welcomed } from './streamclient.ts';

failOnLeaks();

let node: TestNode;
before(async () => {
  node = await startNode({ connectionsMax: 20 });
});
after(() => node.stop());

const get = (path: string, headers: readonly string[] = []) =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`;

async function raw(): Promise<RawSocket> {
  return connectRaw({ port: node.port });
}

test('plain HTTP on the stream port is told what is here', async () => {
  const socket = await raw();
  const upgrade = await exchange(socket, get('/v1/stream'));
  assert.equal(upgrade.status, 426);
  assert.equal(upgrade.headers['upgrade'], 'websocket');
  assert.match(upgrade.body, /this is no WebSocket handshake/);
  for (const path of ['/', '/v1/streams', `/${'x'.repeat(2_000)}`]) {
    const { status, body } = await exchange(socket, get(path));
    assert.equal(status, 404);
    assert.match(body, /this port serves WebSockets at \/v1\/stream/);
  }
  socket.close();
});

test('garbage instead of a handshake is refused, and never an open connection', async () => {
  const handshake = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
  const requests = [
    get('/v1/stream', handshake),
    get('/v1/stream', [...handshake, 'Sec-WebSocket-Key: short']),
    get('/v1/stream', [...handshake, 'Sec-WebSocket-Key: ']),
    `POST /v1/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`,
    get('/v1/elsewhere', [...handshake, key]),
    get('/v1/stream', [...handshake, key, `X-Padding: ${'x'.repeat(5_000)}`]),
    get(`/v1/stream?token=${'x'.repeat(5_000)}`, [...handshake, key]),
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

test('strange queries are clients without a token', async () => {
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

test('a node with as many clients as it takes answers 503, and takes one again when one has gone', async () => {
  const clients = await Promise.all(Array.from({ length: 20 }, () => welcomed(node)));
  const socket = await raw();
  const handshake = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
  socket.write(get('/v1/stream', handshake));
  const { status, headers, body } = await readResponse(socket);
  assert.deepEqual([status, headers['retry-after']], [503, '1']);
  assert.match(body, /20 connections are the most this node takes; try another, or again/);
  socket.close();
  clients[0]!.close();
  await clients[0]!.closed;
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_connections'), 19));
  await assertServes(node);
  for (const client of clients.slice(1)) client.close();
  await Promise.all(clients.map(({ closed }) => closed));
});

test('a port that is taken is one line that says so', async () => {
  await assert.rejects(startNode({ port: node.port }), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'address_in_use');
    assert.doesNotMatch(error.message, /\n/);
    assert.match(error.message, new RegExp(`${node.port}`));
    return true;
  });
  await assertServes(node);
});
