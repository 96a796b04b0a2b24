import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../src/eventually.ts';
import { freePort } from '../src/free-port.ts';
import { failOnLeaks } from '../src/leak-check.ts';
import { connectRaw, exchange, isEnd, readResponse } from '../src/raw-socket.ts';
import { connectRawWebSocket } from '../src/raw-websocket.ts';
import { createFrameDecoder, encodeFrame, type Frame, opcodes } from '../src/ws-frames.ts';

failOnLeaks();

let server: Server;
let port: number;
const sockets = new Set<Socket>();
/** Frames that the server has received, of all connections. */
let received: Frame[] = [];

/** Echoes text and binary, answers pings and closes; on the path `/flood` sends without end. */
function serveWebSocket(socket: Socket, key: string, path: string): void {
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  const send = (opcode: number, payload: Uint8Array | string, fin = true) =>
    socket.write(encodeFrame({ opcode, payload, fin, mask: false }));
  const decode = createFrameDecoder();
  socket.on('data', (chunk) => {
    for (const frame of decode(chunk)) {
      received.push(frame);
      if (frame.opcode === opcodes.close) {
        send(opcodes.close, frame.payload);
        socket.end();
      } else if (frame.opcode === opcodes.ping) send(opcodes.pong, frame.payload);
      else if (frame.opcode <= opcodes.binary) send(frame.opcode, frame.payload, frame.fin);
    }
  });
  if (path === '/ping') send(opcodes.ping, 'are you there');
  if (path === '/reset') socket.resetAndDestroy();
  if (path === '/flood') {
    const flood = () => {
      while (socket.writable && send(opcodes.binary, Buffer.alloc(65_536)));
    };
    socket.on('drain', flood);
    flood();
  }
}

before(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      if (request.url === '/chunked') {
        response.write('one,');
        response.end('two');
      } else response.end(`${request.method} ${body}`);
    });
  });
  server.on('upgrade', (request, socket) => {
    if (request.url === '/forbidden') socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!');
    else serveWebSocket(socket as Socket, request.headers['sec-websocket-key'] ?? '', request.url ?? '');
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  port = typeof address === 'object' ? address!.port : 0;
});

after(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

describe('a raw connection', () => {
  test('sends a request byte by byte and reads one response after another', async () => {
    const socket = await connectRaw({ port });
    for (const byte of 'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi') socket.write(byte);
    assert.deepEqual((({ status, body }) => ({ status, body }))(await readResponse(socket)), {
      status: 200,
      body: 'POST hi',
    });
    assert.equal((await exchange(socket, 'GET /chunked HTTP/1.1\r\nHost: x\r\n\r\n')).body, 'one,two');
    assert.equal((await exchange(socket, 'GET / HTTP/1.0\r\n\r\n')).body, 'GET ');
    await socket.closed;
    socket.close();
  });

  test('sends nonsense, receives the error, and sees the end', async () => {
    const socket = await connectRaw({ port });
    const answer = await exchange(socket, 'nonsense\r\n\r\n');
    assert.equal(answer.status, 400);
    await socket.closed;
    assert.equal((await socket.readSome()).length, 0);
    await assert.rejects(socket.read(1), (error) => isEnd(error));
    socket.close();
  });

  test('half closed, it still reads the response', async () => {
    const socket = await connectRaw({ port });
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    socket.halfClose();
    assert.match((await socket.readToEnd()).toString(), /^HTTP\/1\.1 200 OK[\s\S]*GET $/);
    socket.close();
  });

  test('a read that does not get its bytes rejects with what it waited for', async () => {
    const socket = await connectRaw({ port });
    await assert.rejects(socket.read(5, { deadlineMs: 10 }), {
      code: 'timeout',
      message: 'expected 5 bytes within 10 ms, got 0 bytes',
    });
    const pending = socket.readUntil('\n', { deadlineMs: 50 });
    await assert.rejects(socket.read(1), { code: 'conflict' });
    await assert.rejects(pending, { code: 'timeout' });
    socket.close();
  });

  test('reset is a reset for the server', async () => {
    const before = new Set(sockets);
    const socket = await connectRaw({ port });
    const peer = await eventually(() => [...sockets].find((candidate) => !before.has(candidate)) ?? false);
    const failed = new Promise<NodeJS.ErrnoException>((resolve) => peer.once('error', resolve));
    socket.reset();
    assert.equal((await failed).code, 'ECONNRESET');
  });

  test('to a port without a server is refused with the address', async () => {
    const unusedPort = await freePort();
    await assert.rejects(connectRaw({ port: unusedPort }), {
      code: 'unavailable',
      message: new RegExp(`127.0.0.1:${unusedPort}.*ECONNREFUSED`),
    });
  });
});

describe('a raw WebSocket', () => {
  test('sends and receives text, JSON and bytes of all sizes', async () => {
    const ws = await connectRawWebSocket({ port, path: '/echo?x=1' });
    ws.sendText('{"a":1}');
    assert.deepEqual(await ws.nextJson(), { a: 1 });
    for (const size of [0, 125, 126, 65_535, 65_536, 300_000]) {
      ws.sendBinary(Buffer.alloc(size, 'x'));
      const message = await ws.nextMessage();
      assert.deepEqual([message.type, message.payload.length], ['binary', size]);
    }
    ws.close(1000, 'done');
    assert.deepEqual(await ws.closed, { code: 1000, reason: 'done' });
    await assert.rejects(ws.nextMessage(), { code: 'closed', message: 'the server closed: 1000 done' });
  });

  test('sends a message in fragments with a ping between them, and assembles received fragments', async () => {
    const ws = await connectRawWebSocket({ port });
    ws.sendFrame({ opcode: opcodes.text, payload: 'Hel', fin: false });
    ws.ping('between');
    ws.sendFrame({ opcode: opcodes.continuation, payload: 'lo' });
    assert.equal((await ws.nextFrame(opcodes.pong)).payload.toString(), 'between');
    assert.equal((await ws.nextMessage()).payload.toString(), 'Hello');
    ws.sendFragments('text', ['a', 'b', 'c']);
    assert.equal((await ws.nextMessage()).payload.toString(), 'abc');
    assert.deepEqual(
      ws.frames.slice(-3).map((frame) => frame.fin),
      [false, false, true],
    );
    ws.close();
    assert.deepEqual(await ws.closed, { code: 1005, reason: '' });
  });

  test('answers pings, or does not', async () => {
    received = [];
    const answering = await connectRawWebSocket({ port, path: '/ping' });
    await answering.nextFrame(opcodes.ping);
    await eventually(() =>
      assert.deepEqual(
        received.map((frame) => [frame.opcode, frame.payload.toString()]),
        [[opcodes.pong, 'are you there']],
      ),
    );
    received = [];
    const unresponsive = await connectRawWebSocket({ port, path: '/ping', answersPings: false });
    await unresponsive.nextFrame(opcodes.ping);
    unresponsive.sendText('last');
    await unresponsive.nextMessage();
    assert.deepEqual(
      received.map((frame) => frame.opcode),
      [opcodes.text],
    );
    answering.socket.close();
    unresponsive.socket.close();
    assert.equal((await unresponsive.closed).code, 1006);
    await answering.closed;
  });

  test('that stops reading makes the server wait, and then receives everything', async () => {
    const before = new Set(sockets);
    const ws = await connectRawWebSocket({ port, path: '/flood' });
    const peer = await eventually(() => [...sockets].find((candidate) => !before.has(candidate)) ?? false);
    ws.socket.stopReading();
    await eventually(() => assert.ok(peer.writableNeedDrain && peer.writableLength > 0), {
      describe: 'the server cannot send more',
    });
    const count = ws.frames.length;
    // Time for frames to be received, by the round trips of another connection instead of a clock.
    const other = await connectRaw({ port });
    for (let i = 0; i < 10; i++) await exchange(other, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    other.close();
    assert.equal(ws.frames.length, count);
    ws.socket.startReading();
    await eventually(() => assert.ok(ws.frames.length > count + 10));
    ws.socket.close();
    await ws.closed;
  });

  test('that is reset closes with 1006', async () => {
    const ws = await connectRawWebSocket({ port, path: '/reset' });
    assert.equal((await ws.closed).code, 1006);
    await assert.rejects(ws.nextMessage(), { code: 'closed' });
  });

  test('that is refused rejects with status and body', async () => {
    await assert.rejects(connectRawWebSocket({ port, path: '/forbidden' }), {
      code: 'forbidden',
      message: /does not upgrade \/forbidden: status 403, no!/,
    });
  });

  test("frames are compatible with Node's own WebSocket", async () => {
    const other = new WebSocket(`ws://127.0.0.1:${port}/`);
    await new Promise((resolve) => other.addEventListener('open', resolve, { once: true }));
    const answer = new Promise<MessageEvent>((resolve) => other.addEventListener('message', resolve, { once: true }));
    other.send('Grüße'.repeat(20_000));
    assert.equal((await answer).data, 'Grüße'.repeat(20_000));
    const closed = new Promise((resolve) => {
      other.addEventListener('close', ({ code, reason }) => resolve([code, reason]), { once: true });
    });
    other.close(4002, 'too slow');
    assert.deepEqual(await closed, [4002, 'too slow']);
  });
});
