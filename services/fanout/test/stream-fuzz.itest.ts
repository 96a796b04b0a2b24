import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ClientMessage, clientMessageBytes, clientMessageJson } from '@tailrace/protocol/client-message';
import { isTailraceError } from '@tailrace/protocol/error';
import { type ServerMessage, serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/server-message';
import { eventually } from '@tailrace/testkit/eventually';
import { fuzzed } from '@tailrace/testkit/fuzz';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { connectRaw } from '@tailrace/testkit/raw-socket';
import type { RawWebSocket } from '@tailrace/testkit/raw-websocket';
import { encodeFrame, opcodes } from '@tailrace/testkit/ws-frames';
import fc from 'fast-check';
import type { Encoding } from '../src/views/view-options.ts';
import { startNode, type TestNode } from './node.ts';

failOnLeaks();

const { seed } = fuzzed();
const messagesMax = 2_000;

let node: TestNode;
before(async () => {
  node = await startNode({ subscriptionsMax: 20, messagesPerSecondMax: 1e6 });
});
after(() => node.stop());

const id = fc.constantFrom('a', 'b', 'é', '', 'x'.repeat(65), '\u0000');
const channel = fc.constantFrom('p.d', 'p.>', '>', 'p..d', '.', '', 'p.>.d', 'é', `p.${'x'.repeat(300)}`);
const message = fc.oneof(
  fc.record({ subscribe: fc.record({ id, channel }) }),
  fc.record({ unsubscribe: fc.record({ id }) }),
  fc.record({ ping: fc.record({ t: fc.double({ noNaN: true }) }) }),
  fc.record({ auth: fc.record({ token: fc.string() }) }),
) as fc.Arbitrary<ClientMessage>;

/** Changes, omits, inserts or truncates bytes. */
function mutated(original: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Buffer> {
  const change = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), kind: fc.nat(3), byte: fc.nat(255) });
  return fc.tuple(original, fc.array(change, { maxLength: 4 })).map(([bytes, changes]) => {
    let result = Buffer.from(bytes);
    for (const { at, kind, byte } of changes) {
      const index = Math.floor(at * result.length);
      const rest = result.subarray(kind === 1 || kind === 3 ? index + 1 : index);
      const inserted = kind === 0 || kind === 3 ? [byte] : [];
      result = Buffer.concat([result.subarray(0, index), Buffer.from(inserted), ...(kind === 2 ? [] : [rest])]);
    }
    return result;
  });
}

const asText = (sent: ClientMessage) => Buffer.from(clientMessageJson(sent));
const texts = fc.oneof(
  { weight: 6, arbitrary: mutated(message.map(asText)) },
  { weight: 2, arbitrary: fc.json().map((text) => Buffer.from(text)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('auth', 'subscribe', 'unsubscribe', 'ping'), fc.jsonValue())
      .map(([kind, value]) => Buffer.from(JSON.stringify({ [kind]: value }))),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }).map((text) => Buffer.from(text)) },
);
const binaries = fc.oneof(
  { weight: 4, arbitrary: mutated(message.map(clientMessageBytes)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
);

for (const encoding of ['json', 'proto'] as const) {
  test(`any ${encoding} message is answered or closes the connection, and the node keeps serving`, async () => {
    const sample = fc.sample(encoding === 'json' ? texts : binaries, { seed, numRuns: messagesMax });
    const outcomes = { answered: 0, refused: 0, closed: 0 };
    let ws = await welcomed(encoding);
    for (const [i, payload] of sample.entries()) {
      ws.sendFrame({ opcode: encoding === 'json' ? opcodes.text : opcodes.binary, payload });
      const marker = { ping: { t: 1e9 + i } };
      if (encoding === 'json') ws.sendText(clientMessageJson(marker));
      else ws.sendBinary(clientMessageBytes(marker));
      const { answers, close } = await answersUntil(ws, marker.ping.t);
      if (close === undefined) {
        outcomes[answers.some((answer) => 'error' in answer) ? 'refused' : 'answered']++;
        continue;
      }
      // 1006: the text was not UTF-8. Everything else gets an error before the close.
      if (close !== 1006)
        assert.ok('error' in answers.at(-1)!, `${close} without an error to ${payload.toString('hex')}`);
      assert.ok([4400, 4401, 1006].includes(close), `${close} to ${payload.toString('hex')}`);
      outcomes.closed++;
      ws = await welcomed(encoding);
    }
    ws.close();
    await ws.closed;
    for (const [outcome, count] of Object.entries(outcomes)) assert.ok(count > 20, `${outcome}: ${count}`);
    assert.equal(await node.metric('tailrace_fanout_internal_errors_total'), 0);
    await eventually(async () => assert.equal(await node.metric('tailrace_fanout_connections'), 0));
    assert.equal(await node.metric('tailrace_fanout_channels'), 0);
  });
}

/** Frames with changed bits, frames without a mask, and random bytes (RFC 6455, section 5.2). */
const frames = fc.oneof(
  {
    weight: 4,
    arbitrary: mutated(
      fc
        .record({
          opcode: fc.constantFrom(0, 1, 2, 3, 8, 9, 10, 15),
          fin: fc.boolean(),
          rsv: fc.constantFrom(0, 0, 0, 1, 4, 7),
          mask: fc.boolean(),
          payload: fc.uint8Array({ maxLength: 200 }),
        })
        .map((frame) => encodeFrame(frame)),
    ),
  },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 64 }).map((bytes) => Buffer.from(bytes)) },
  // Empty fragments of an unfinished message: the library does not pass them on.
  { weight: 1, arbitrary: fc.nat(2_000).map((count) => Buffer.alloc(6 * count, Buffer.from([0, 0x80, 1, 2, 3, 4]))) },
);

test('any frames are served or close the connection, and the node keeps serving', async () => {
  for (const [i, bytes] of fc
    .sample(fc.array(frames, { minLength: 1, maxLength: 4 }), { seed, numRuns: 600 })
    .entries()) {
    const ws = await welcomed(i % 2 === 0 ? 'json' : 'proto');
    for (const frame of bytes) ws.socket.write(frame);
    ws.socket.halfClose();
    await ws.closed;
  }
  const ws = await welcomed('json');
  ws.sendText('{"ping":{"t":1}}');
  assert.ok('pong' in ((await ws.nextJson()) as object));
  ws.close();
  await ws.closed;
  assert.equal(await node.metric('tailrace_fanout_internal_errors_total'), 0);
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_connections'), 0));
});

test('random bytes instead of HTTP are answered or close the connection, and the node keeps serving', async () => {
  const line = fc.constantFrom('GET /v1/stream HTTP/1.1\r\n', 'Upgrade: websocket\r\n', 'Host: x\r\n', '\r\n');
  const chunk = fc.oneof(
    line.map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  );
  for (const chunks of fc.sample(fc.array(chunk, { minLength: 1, maxLength: 6 }), { seed, numRuns: 400 })) {
    const socket = await connectRaw({ port: node.port });
    socket.write(Buffer.concat(chunks));
    socket.halfClose();
    await socket.readToEnd({ deadlineMs: 15_000 });
    socket.close();
  }
  const ws = await welcomed('proto');
  ws.close();
  await ws.closed;
  assert.equal(await node.metric('tailrace_fanout_internal_errors_total'), 0);
});

async function welcomed(encoding: Encoding): Promise<RawWebSocket> {
  const ws = await node.connect({ path: `/v1/stream?token=${node.token}`, protocols: [`tailrace.v1.${encoding}`] });
  await ws.nextMessage();
  return ws;
}

/**
 * Returns the messages before the pong of the marker, or before the close. Without any, the next message: a
 * subscription starts when the scheduler has time.
 */
async function answersUntil(ws: RawWebSocket, t: number): Promise<{ answers: ServerMessage[]; close?: number }> {
  const answers: ServerMessage[] = [];
  for (let isMarked = false; !isMarked || answers.length === 0; ) {
    let message: ServerMessage | undefined;
    try {
      const { type, payload } = await ws.nextMessage();
      message = type === 'text' ? serverMessageFromJson(payload.toString('utf8')) : serverMessageFromBytes(payload);
    } catch (error) {
      if (!isTailraceError(error) || error.code !== 'closed') throw error;
      return { answers, close: (await ws.closed).code };
    }
    assert.ok(message !== undefined);
    if ('pong' in message && message.pong.t === t) isMarked = true;
    else answers.push(message);
  }
  return { answers };
}
