import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { clientMessageBytes } from '@tailrace/protocol/client-message';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import type { RawWebSocket } from '@tailrace/testkit/raw-websocket';
import { opcodes } from '@tailrace/testkit/ws-frames';
import { startNode, type TestNode } from './node.ts';
import { assertServes, refusal, welcomed } from './stream-client.ts';

failOnLeaks();

let node: TestNode;
before(async () => {
  node = await startNode({ connectionsMax: 20 });
});
after(() => node.stop());

const malformed: readonly (readonly [what: string, text: string, message: RegExp])[] = [
  ['text that is no JSON', 'hello', /^message: expected a JSON object, as in .*, got "hello"$/],
  ['truncated JSON', '{"ping":{"t":', /^message: expected a JSON object, as in .*, got "\{/],
  ['JSON that is no object', '[1,2]', /^message: expected one of auth, subscribe, .*, got \[1,2\]$/],
  ['an empty text', '', /^message: expected a JSON object, as in .*, got ""$/],
  ['an empty object', '{}', /^message: expected one of auth, .*, got \{\}$/],
  [
    'an unknown message',
    '{"subscrib":{"id":"a"}}',
    /^message: expected one of auth, subscribe, unsubscribe, ping, .*, got "subscrib"$/,
  ],
  ['two messages in one', '{"ping":{"t":1},"unsubscribe":{"id":"a"}}', /got 2 keys/],
  [
    'an unknown field',
    '{"subscribe":{"id":"a","channel":"p.d","chanel":"x"}}',
    /^subscribe: expected the fields id, channel, snapshot, .*, got the unknown field "chanel"$/,
  ],
  ['a number as id', '{"subscribe":{"id":7,"channel":"p.d"}}', /^subscribe\.id: expected a text of 1 to 64 .*, got 7$/],
  [
    'an array as channel',
    '{"subscribe":{"id":"a","channel":["p.d"]}}',
    /^subscribe\.channel: expected a text of at most 202 bytes, got \["p\.d"\]$/,
  ],
  [
    'a channel that is too long',
    `{"subscribe":{"id":"a","channel":"${'p'.repeat(203)}"}}`,
    /^subscribe\.channel: expected .*, got "ppp.*…$/,
  ],
  [
    'a text as snapshot',
    '{"subscribe":{"id":"a","channel":"p.d","snapshot":"yes"}}',
    /^subscribe\.snapshot: expected true or false, got "yes"$/,
  ],
  ['a text as time', '{"ping":{"t":"now"}}', /^ping\.t: expected a finite number, got "now"$/],
  ['a number beyond all numbers', '{"ping":{"t":1e999}}', /^ping\.t: .*, got Infinity$/],
  ['a message that is no object', '{"unsubscribe":"a"}', /^unsubscribe: expected an object with id, got "a"$/],
  ['keys that mean something to JavaScript', '{"__proto__":{"t":1}}', /^message: .*, got "__proto__"$/],
  ['brackets without end', '['.repeat(16_000), /^message: expected a JSON object, as in /],
];

for (const [what, text, message] of malformed) {
  test(`${what} gets an error with what was expected, and 4400`, async () => {
    const ws = await welcomed(node);
    ws.sendText(text);
    const { error, close } = await refusal(ws);
    assert.match(error.message, message);
    assert.ok(error.message.length < 400, 'the offending value is truncated');
    assert.deepEqual([error.code, close], ['invalid_message', 4400]);
  });
}

test('an invalid pattern is answered under the id of its subscription, and the connection stays open', async () => {
  const ws = await welcomed(node);
  ws.sendText('{"subscribe":{"id":"a","channel":"plant1.*"}}');
  const { error } = (await ws.nextJson()) as { error: { id: string; code: string; message: string } };
  assert.deepEqual([error.id, error.code], ['a', 'invalid_pattern']);
  assert.match(error.message, /^pattern: expected a device path .*, got "plant1\.\*": it contains "\*"$/);
  ws.sendText('{"subscribe":{"id":"a","channel":"plant1.>"}}');
  assert.ok('subscribed' in ((await ws.nextJson()) as object));
  ws.close();
  await ws.closed;
});

test('a binary frame on a JSON connection and text on a Protobuf one close it with 4400', async () => {
  const json = await welcomed(node, 'json');
  json.sendBinary(clientMessageBytes({ ping: { t: 1 } }));
  assert.deepEqual(await refusal(json), {
    error: {
      code: 'invalid_message',
      message: 'expected text frames on a tailrace.v1.json connection, got binary',
      retryable: false,
    },
    close: 4400,
  });
  const proto = await welcomed(node, 'proto');
  proto.sendText('{"ping":{"t":1}}');
  const { error, close } = await refusal(proto);
  assert.match(error.message, /expected binary frames on a tailrace\.v1\.proto connection, got text/);
  assert.equal(close, 4400);
});

test('invalid Protobuf closes the connection with 4400', async () => {
  for (const bytes of [
    Uint8Array.of(),
    Uint8Array.of(0x0a, 9),
    Uint8Array.of(0xfa, 0x01, 0),
    Uint8Array.from({ length: 1_000 }, (_, i) => i * 7),
  ]) {
    const ws = await welcomed(node, 'proto');
    ws.sendBinary(bytes);
    const { error, close } = await refusal(ws);
    assert.match(error.message, /^message: expected one /);
    assert.deepEqual([error.code, close], ['invalid_message', 4400]);
  }
});

test('a message larger than allowed gets an error with both sizes, and 4413', async () => {
  for (const size of [16_385, 65_536]) {
    const ws = await welcomed(node);
    ws.sendText('x'.repeat(size));
    assert.deepEqual(await refusal(ws), {
      error: { code: 'too_large', message: `message: expected at most 16384 bytes, got ${size}`, retryable: false },
      close: 4413,
    });
  }
});

test('the largest message allowed is served', async () => {
  const ws = await welcomed(node);
  const text = '{"ping":{"t":1}}';
  ws.sendText(text + ' '.repeat(16_384 - text.length));
  assert.ok('pong' in ((await ws.nextJson()) as object));
  ws.close();
  await ws.closed;
});

test('a message far too large is terminated, whether it is sent or only announced', async () => {
  const sent = await welcomed(node);
  sent.sendText('x'.repeat(65_537));
  assert.equal((await sent.closed).code, 1006);
  const claimed = await welcomed(node);
  claimed.sendFrame({ opcode: opcodes.text, payload: 'x', claimedLength: 2 ** 40 });
  assert.equal((await claimed.closed).code, 1006);
  const endless = await welcomed(node);
  endless.sendFrame({ opcode: opcodes.text, fin: false, payload: 'x'.repeat(10_000) });
  for (let i = 0; i < 10; i++)
    endless.sendFrame({ opcode: opcodes.continuation, fin: false, payload: 'x'.repeat(10_000) });
  assert.equal((await endless.closed).code, 1006);
  await assertServes(node);
});

test('a message in fragments is reassembled, with pings between them', async () => {
  const ws = await welcomed(node);
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

test('frames that violate RFC 6455 close their connection alone', async () => {
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
    const ws = await welcomed(node);
    violate(ws);
    const { code } = await ws.closed;
    assert.ok(code === 1006 || (code >= 1002 && code <= 1009), `${i}: ${code}`);
  }
  await assertServes(node);
});

test('any close frame is answered, and the connection released', async () => {
  for (const [code, reason] of [
    [1000, 'bye'],
    [4999, ''],
    [undefined, ''],
    [1, 'x'],
    [1000, 'x'.repeat(123)],
  ] as const) {
    const ws = await welcomed(node);
    ws.close(code, reason);
    await ws.closed;
  }
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_connections'), 0));
});

test('pings are answered, up to the message rate', async () => {
  const ws = await welcomed(node);
  for (let i = 0; i < 2_000; i++) ws.ping(`${i}`);
  await eventually(() => assert.equal(ws.frames.filter(({ opcode }) => opcode === opcodes.pong).length, 2_000));
  ws.close();
  await ws.closed;
});
