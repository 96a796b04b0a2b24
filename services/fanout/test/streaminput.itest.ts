import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { clientMessageBytes } from '@tailrace/protocol/clientmessage';
import { serverMessageFromBytes } from '@tailrace/protocol/servermessage';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leakcheck';
import { connectRaw, exchange, type RawSocket, readResponse } from '@tailrace/testkit/rawsocket';
import type { RawWebSocket } from '@tailrace/testkit/rawwebsocket';
import { opcodes } from '@tailrace/testkit/wsframes';
import { startNode, type TestNode } from './node.ts';

failOnLeaks();

let node: TestNode;
before(async () => {
  node = await startNode({ connectionsMax: 20 });
});
after(() => node.stop());

/** A client that has been welcomed. */
async function welcomed(protocol: 'json' | 'proto' = 'json'): Promise<RawWebSocket> {
  const ws = await node.connect({ path: `/v1/stream?token=${node.token}`, protocols: [`tailrace.v1.${protocol}`] });
  await ws.nextMessage();
  return ws;
}

/** The error that comes next, and the close code after it. */
async function refusal(
  ws: RawWebSocket,
): Promise<{ error: { code: string; message: string; id?: string }; close: number }> {
  const { payload, type } = await ws.nextMessage();
  const message = type === 'text' ? JSON.parse(payload.toString('utf8')) : serverMessageFromBytes(payload);
  assert.ok('error' in message, payload.toString('utf8'));
  return { error: message.error, close: (await ws.closed).code };
}

/** The node still does what it is for. */
async function assertServes(): Promise<void> {
  const ws = await welcomed();
  ws.sendText('{"ping":{"t":1}}');
  assert.ok('pong' in ((await ws.nextJson()) as object));
  ws.close();
  await ws.closed;
}

const malformed: readonly (readonly [what: string, text: string, message: RegExp])[] = [
  ['text that is no JSON', 'hello', /"hello" is not JSON; right is one message as a JSON object, as in/],
  ['JSON that ends early', '{"ping":{"t":', /is not JSON/],
  ['JSON that is no object', '[1,2]', /the message is \[1,2\]; right is one of auth, subscribe/],
  ['an empty text', '', /"" is not JSON/],
  ['an empty object', '{}', /the message is empty; right is one of auth/],
  [
    'an unknown message',
    '{"subscrib":{"id":"a"}}',
    /"subscrib" is no message; right is one of auth, subscribe, unsubscribe, ping/,
  ],
  ['two messages in one', '{"ping":{"t":1},"unsubscribe":{"id":"a"}}', /has 2 keys/],
  [
    'an unknown field',
    '{"subscribe":{"id":"a","channel":"p.d","chanel":"x"}}',
    /unknown field "chanel"; right is id, channel, snapshot/,
  ],
  ['a number as id', '{"subscribe":{"id":7,"channel":"p.d"}}', /subscribe\.id is 7; right is a text of 1 to 64 bytes/],
  [
    'an array as channel',
    '{"subscribe":{"id":"a","channel":["p.d"]}}',
    /subscribe\.channel is \["p\.d"\]; right is a text of at most 202 bytes/,
  ],
  [
    'a channel that is too long',
    `{"subscribe":{"id":"a","channel":"${'p'.repeat(203)}"}}`,
    /subscribe\.channel is "ppp.*…; right is/,
  ],
  [
    'a text as snapshot',
    '{"subscribe":{"id":"a","channel":"p.d","snapshot":"yes"}}',
    /snapshot is "yes"; right is true or false/,
  ],
  ['a text as time', '{"ping":{"t":"now"}}', /ping\.t is "now"; right is a finite number/],
  ['a number beyond all numbers', '{"ping":{"t":1e999}}', /ping\.t is Infinity/],
  ['a message that is no object', '{"unsubscribe":"a"}', /unsubscribe is "a"; right is an object with id/],
  ['keys that mean something to JavaScript', '{"__proto__":{"t":1}}', /"__proto__" is no message/],
  ['brackets without end', '['.repeat(16_000), /is not JSON/],
];

for (const [what, text, message] of malformed) {
  test(`${what} is answered by what would be right, and 4400`, async () => {
    const ws = await welcomed();
    ws.sendText(text);
    const { error, close } = await refusal(ws);
    assert.match(error.message, message);
    assert.ok(error.message.length < 400, 'the offending value is cut');
    assert.deepEqual([error.code, close], ['invalid_message', 4400]);
  });
}

test('a channel that is no pattern is answered under the id of its subscription, and the connection stays', async () => {
  const ws = await welcomed();
  ws.sendText('{"subscribe":{"id":"a","channel":"plant1.*"}}');
  const { error } = (await ws.nextJson()) as { error: { id: string; code: string; message: string } };
  assert.deepEqual([error.id, error.code], ['a', 'invalid_pattern']);
  assert.match(error.message, /"plant1\.\*" is not a pattern: it contains "\*"; right is a device path/);
  ws.sendText('{"subscribe":{"id":"a","channel":"plant1.>"}}');
  assert.ok('subscribed' in ((await ws.nextJson()) as object));
  ws.close();
  await ws.closed;
});

test('a binary frame on a JSON connection and a text on a Protobuf one are the end with 4400', async () => {
  const json = await welcomed('json');
  json.sendBinary(clientMessageBytes({ ping: { t: 1 } }));
  assert.deepEqual(await refusal(json), {
    error: {
      code: 'invalid_message',
      message: 'a binary frame on a tailrace.v1.json connection; send text frames',
      retryable: false,
    },
    close: 4400,
  });
  const proto = await welcomed('proto');
  proto.sendText('{"ping":{"t":1}}');
  const { error, close } = await refusal(proto);
  assert.match(error.message, /a text frame on a tailrace\.v1\.proto connection; send binary frames/);
  assert.equal(close, 4400);
});

test('bytes that are no Protobuf message are the end with 4400', async () => {
  for (const bytes of [
    Uint8Array.of(),
    Uint8Array.of(0x0a, 9),
    Uint8Array.of(0x7a, 0),
    Uint8Array.from({ length: 1_000 }, (_, i) => i * 7),
  ]) {
    const ws = await welcomed('proto');
    ws.sendBinary(bytes);
    const { error, close } = await refusal(ws);
    assert.match(error.message, /right is one/);
    assert.deepEqual([error.code, close], ['invalid_message', 4400]);
  }
});

test('a message larger than allowed is answered with both sizes, and 4413', async () => {
  for (const size of [16_385, 65_536]) {
    const ws = await welcomed();
    ws.sendText('x'.repeat(size));
    assert.deepEqual(await refusal(ws), {
      error: { code: 'too_large', message: `the message has ${size} bytes; right is at most 16384`, retryable: false },
      close: 4413,
    });
  }
});

test('the largest message allowed is looked at', async () => {
  const ws = await welcomed();
  const text = '{"ping":{"t":1}}';
  ws.sendText(text + ' '.repeat(16_384 - text.length));
  assert.ok('pong' in ((await ws.nextJson()) as object));
  ws.close();
  await ws.closed;
});

test('a message far too large is cut off, whether it comes or is only claimed', async () => {
  const sent = await welcomed();
  sent.sendText('x'.repeat(65_537));
  assert.equal((await sent.closed).code, 1006);
  const claimed = await welcomed();
  claimed.sendFrame({ opcode: opcodes.text, payload: 'x', claimedLength: 2 ** 40 });
  assert.equal((await claimed.closed).code, 1006);
  const endless = await welcomed();
  endless.sendFrame({ opcode: opcodes.text, fin: false, payload: 'x'.repeat(10_000) });
  for (let i = 0; i < 10; i++)
    endless.sendFrame({ opcode: opcodes.continuation, fin: false, payload: 'x'.repeat(10_000) });
  assert.equal((await endless.closed).code, 1006);
  await assertServes();
});

test('a message in fragments is put together, with pings between them', async () => {
  const ws = await welcomed();
  const text = Buffer.from('{"subscribe":{"id":"é","channel":"p.d"}}');
  const inside = text.indexOf(0xa9);
  ws.sendFragments('text', [text.subarray(0, 5), text.subarray(5, inside), '', text.subarray(inside)]);
  assert.equal(((await ws.nextJson()) as { subscribed: { id: string } }).subscribed.id, 'é');
  ws.sendFrame({ opcode: opcodes.text, fin: false, payload: '{"ping"' });
  ws.ping('between');
  ws.sendFrame({ opcode: opcodes.continuation, payload: ':{"t":1}}' });
  assert.ok('pong' in ((await ws.nextJson()) as object));
  assert.equal((await ws.nextFrame(opcodes.pong)).payload.toString(), 'between');
  ws.close();
  await ws.closed;
});

test('frames that break RFC 6455 are the end, and nobody else notices', async () => {
  const breaks: readonly ((ws: RawWebSocket) => void)[] = [
    (ws) => ws.sendFrame({ opcode: opcodes.text, payload: Uint8Array.of(0xff, 0xfe, 0x80) }),
    (ws) => ws.sendFrame({ opcode: opcodes.text, payload: Uint8Array.of(0x7b, 0xc3) }),
    (ws) => ws.sendFrame({ opcode: 3, payload: 'x' }),
    (ws) => ws.sendFrame({ opcode: opcodes.text, rsv: 4, payload: 'x' }),
    (ws) => ws.sendFrame({ opcode: opcodes.continuation, payload: 'x' }),
    (ws) => ws.sendFrame({ opcode: opcodes.ping, payload: 'x'.repeat(126) }),
    (ws) => ws.sendFrame({ opcode: opcodes.ping, fin: false, payload: 'x' }),
    (ws) => {
      ws.sendFrame({ opcode: opcodes.text, fin: false, payload: 'x' });
      ws.sendFrame({ opcode: opcodes.text, payload: 'x' });
    },
    (ws) => ws.socket.write(Buffer.alloc(4_096, 0xff)),
  ];
  for (const [i, violate] of breaks.entries()) {
    const ws = await welcomed();
    violate(ws);
    const { code } = await ws.closed;
    assert.ok(code === 1006 || (code >= 1002 && code <= 1009), `${i}: ${code}`);
  }
  await assertServes();
});

test('a close frame of any kind is answered, and leaves nothing', async () => {
  for (const [code, reason] of [
    [1000, 'bye'],
    [4999, ''],
    [undefined, ''],
    [1, 'x'],
    [1000, 'x'.repeat(123)],
  ] as const) {
    const ws = await welcomed();
    ws.close(code, reason);
    await ws.closed;
  }
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_connections'), 0));
});

test('a flood of pings is answered', async () => {
  const ws = await welcomed();
  for (let i = 0; i < 5_000; i++) ws.ping(`${i}`);
  await eventually(() => assert.equal(ws.frames.filter(({ opcode }) => opcode === opcodes.pong).length, 5_000));
  ws.close();
  await ws.closed;
});

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
  await assertServes();
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
  const clients = await Promise.all(Array.from({ length: 20 }, () => welcomed()));
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
  await assertServes();
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
  await assertServes();
});
