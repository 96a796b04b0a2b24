import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createInbox } from '@tailrace/testkit/eventually';
import { fuzzed } from '@tailrace/testkit/fuzz';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import type { RawResponse } from '@tailrace/testkit/raw-socket';
import { connectRawWebSocket, type RawWebSocket } from '@tailrace/testkit/raw-websocket';
import { encodeFrame, type FrameToSend, opcodes } from '@tailrace/testkit/ws-frames';
import fc from 'fast-check';
import { configSchema } from '../src/config.ts';
import type { DeviceSocket, DeviceSocketHandlers, DeviceSocketServer } from '../src/devices/device-socket.ts';
import { createHttpTransport } from '../src/http-transport.ts';
import type { Transport } from '../src/transport.ts';
import { type ContractDevice, deviceSocketContract } from './device-socket-contract.ts';

failOnLeaks();

function createTransport(): Transport {
  const config = configSchema.parse({ host: '127.0.0.1', port: 0, tokenSecret: 'x'.repeat(32) });
  return createHttpTransport({ config, clock: systemClock, logger: silentLogger });
}

deviceSocketContract('ws', () => {
  const transport = createTransport();
  const listen = transport.listen.bind(transport);
  let port = 0;
  transport.listen = async (handlers) => {
    port = await listen(handlers);
    return port;
  };
  return {
    transport,
    async connect(path, protocols = []) {
      try {
        return deviceOn(await connectRawWebSocket({ port, path, protocols, answersCloses: true }));
      } catch (error) {
        const answer = (error as { cause?: RawResponse }).cause;
        if (answer?.status === undefined) throw error;
        return answer;
      }
    },
  };
});

function deviceOn(client: RawWebSocket): ContractDevice {
  return {
    subprotocol: client.protocol ?? '',
    closed: client.closed,
    send(...messages) {
      const frames = messages.map((data) =>
        encodeFrame({ opcode: typeof data === 'string' ? opcodes.text : opcodes.binary, payload: data }),
      );
      client.socket.write(Buffer.concat(frames));
    },
    async next() {
      const { type, payload } = await client.nextMessage();
      return type === 'text' ? payload.toString() : payload;
    },
    async ping() {
      client.ping('p');
      await client.nextFrame(opcodes.pong);
    },
    close: (code) => client.close(code),
    abort: () => client.socket.close(),
    stopReading: () => client.socket.stopReading(),
    startReading: () => client.socket.startReading(),
  };
}

/** Opens sockets that return each message, and collect the codes of closed ones. */
async function echoing(t: TestContext, messageBytesMax = 1_000) {
  const transport = createTransport();
  t.after(() => transport.close());
  const codes = createInbox<number>();
  const open = (socket: DeviceSocket): DeviceSocketHandlers => ({
    message: (data, isBinary) => socket.send(isBinary ? data : data.toString()),
    ping() {},
    pong() {},
    closed: codes.put,
  });
  const server: DeviceSocketServer = { subprotocols: [], messageBytesMax, accept: () => open };
  const port = await transport.listen({
    ...{ request() {}, refused() {}, isNearLimit: () => false },
    upgrade: () => ({ server, open }),
  });
  const connect = async (headers: Readonly<Record<string, string>> = {}) => {
    const client = await connectRawWebSocket({ port, headers, answersCloses: true });
    t.after(() => client.socket.close());
    return client;
  };
  return { transport, codes, connect };
}

async function echoes(client: RawWebSocket, text: string): Promise<void> {
  client.sendText(text);
  assert.equal((await client.nextMessage()).payload.toString(), text);
}

test('invalid frames close their socket with the code of RFC 6455, which is reported, and no other socket', async (t) => {
  const { codes, connect } = await echoing(t);
  const other = await connect();
  const fragment = (opcode: number): FrameToSend => ({ opcode, fin: false, payload: 'x' });
  const cases: readonly (readonly [code: number, what: string, frames: readonly FrameToSend[]])[] = [
    [1002, 'unmasked', [{ opcode: opcodes.text, payload: 'x', mask: false }]],
    [1002, 'a reserved bit', [{ opcode: opcodes.text, payload: 'x', rsv: 4 }]],
    [1002, 'an unknown opcode', [{ opcode: 3, payload: 'x' }]],
    [1002, 'a continuation of nothing', [{ opcode: opcodes.continuation, payload: 'x' }]],
    [1002, 'a message within a message', [fragment(opcodes.text), { opcode: opcodes.text, payload: 'x' }]],
    [1002, 'a ping in fragments', [fragment(opcodes.ping)]],
    [1002, 'a ping above 125 bytes', [{ opcode: opcodes.ping, payload: 'x'.repeat(126) }]],
    [1002, 'an invalid close code', [{ opcode: opcodes.close, payload: Buffer.from([3, 237]) }]],
    [1007, 'no UTF-8', [{ opcode: opcodes.text, payload: Buffer.from([0xff]) }]],
    [1009, 'too large', [{ opcode: opcodes.binary, payload: Buffer.alloc(1_001) }]],
    [1009, 'claims to be too large', [{ opcode: opcodes.binary, payload: 'x', claimedLength: 2 ** 40 }]],
    [
      1009,
      'too large in fragments',
      [0, 1, 2].map((n) => ({ ...fragment(n === 0 ? 2 : 0), payload: Buffer.alloc(400) })),
    ],
    [1008, 'too many fragments', [fragment(opcodes.text), ...Array.from({ length: 64 }, () => fragment(0))]],
  ];
  for (const [code, what, frames] of cases) {
    const client = await connect();
    client.socket.write(Buffer.concat(frames.map(encodeFrame)));
    assert.equal((await client.closed).code, code, what);
    assert.equal(await codes.next({ describe: what }), code, what);
  }
  await echoes(other, 'fine');
});

test('a message in 64 fragments is delivered whole', async (t) => {
  const { connect } = await echoing(t);
  const client = await connect();
  client.sendFragments('text', new Array(64).fill('abc'));
  assert.equal((await client.nextMessage()).payload.toString(), 'abc'.repeat(64));
});

test('compression that a client offers is not accepted', async (t) => {
  const { connect } = await echoing(t);
  const client = await connect({ 'Sec-WebSocket-Extensions': 'permessage-deflate' });
  assert.equal(client.extensions, undefined);
  await echoes(client, 'plain');
});

test('a minute of pings that arrive at once is answered', async (t) => {
  const { connect } = await echoing(t);
  const client = await connect();
  const ping = encodeFrame({ opcode: opcodes.ping, payload: 'p' });
  client.socket.write(Buffer.concat(new Array(60).fill(ping)));
  await echoes(client, 'fine');
  assert.equal(client.frames.filter(({ opcode }) => opcode === opcodes.pong).length, 60);
});

test('a client that sends hundreds of pings at once is disconnected', async (t) => {
  const { codes, connect } = await echoing(t);
  const client = await connect();
  client.socket.write(Buffer.concat(new Array(500).fill(encodeFrame({ opcode: opcodes.ping, payload: 'p' }))));
  assert.equal(await codes.next(), 1006);
  assert.equal((await client.closed).code, 1006);
});

test('a message in chunks of one byte is delivered whole', async (t) => {
  const { connect } = await echoing(t);
  const client = await connect();
  const frame = encodeFrame({ opcode: opcodes.text, payload: 'tiny' });
  for (const byte of frame) {
    client.socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal((await client.nextMessage()).payload.toString(), 'tiny');
});

/** Frames as a client sends them, with any of the fields changed, and bytes that are no frame. */
const frames = fc.oneof(
  fc
    .record({
      opcode: fc.constantFrom(0, 1, 2, 8, 9, 10, 3, 15),
      fin: fc.boolean(),
      rsv: fc.constantFrom(0, 0, 0, 1, 4),
      mask: fc.constantFrom(true, true, true, false),
      payload: fc.oneof(
        fc.string({ unit: 'binary', maxLength: 200 }),
        fc.uint8Array({ maxLength: 200 }),
        fc.nat({ max: 2_000 }).map((length) => 'x'.repeat(length)),
      ),
    })
    .map(encodeFrame),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
);

test('random frames close at most their own socket, once, with a code', async (t) => {
  const { transport, codes, connect } = await echoing(t);
  const other = await connect();
  await fc.assert(
    fc.asyncProperty(fc.array(frames, { minLength: 1, maxLength: 8 }), async (sent) => {
      const client = await connect();
      client.socket.write(Buffer.concat(sent));
      client.socket.halfClose();
      await client.closed;
      const code = await codes.next();
      assert.ok(code >= 1_000 && code < 5_000, `${code}`);
    }),
    fuzzed(300),
  );
  await echoes(other, 'fine');
  assert.equal(codes.all.length, 300);
  assert.equal(transport.connections.upgraded, 1);
});
