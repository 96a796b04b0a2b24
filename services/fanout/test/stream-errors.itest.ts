import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { type Logger, silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { connectRaw, exchange } from '@tailrace/testkit/raw-socket';
import { connectRawWebSocket, type RawWebSocket } from '@tailrace/testkit/raw-websocket';
import { opcodes } from '@tailrace/testkit/ws-frames';
import { MessageScheduler } from '../src/sessions/message-scheduler.ts';
import type { SessionOptions } from '../src/sessions/session.ts';
import { SessionCounts } from '../src/sessions/session-counts.ts';
import { Sessions } from '../src/sessions/sessions.ts';
import { StreamServer } from '../src/sessions/stream-server.ts';
import { StreamSockets } from '../src/sessions/stream-socket.ts';
import { createUwsTransport } from '../src/uws-transport.ts';
import { freeAccess, freeLimits } from './free-access.ts';
import { createLocalNode } from './local-node.ts';
import { noPlacement } from './no-placement.ts';

failOnLeaks();

/** Throws an unexpected error. Uncaught, uWebSockets.js would abort the process. */
const broken = () => {
  throw new TypeError('broken');
};

/** Starts a stream server on a port, parts of which the test breaks. */
async function serving(t: { after(call: () => void): void }, session: Partial<SessionOptions> = {}) {
  const node = createLocalNode();
  const errors: object[] = [];
  const logger: Logger = { ...silentLogger, error: (facts) => errors.push(facts) };
  const limits = {
    ...freeLimits,
    connectionsMax: 100,
    messageBytesMax: 1_024,
    ...{ socketHighWaterBytes: 65_536, socketBytesMax: 1_048_576, repliesBytesMax: 65_536, lagMsMax: 30_000 },
    heartbeatMs: 30_000,
    pongDeadlineMs: 10_000,
    authDeadlineMs: 10_000,
  };
  const transport = createUwsTransport({ ...limits, host: '127.0.0.1', port: 0 }, logger);
  const sockets = new StreamSockets(transport, limits, systemClock);
  const sessions = new Sessions(systemClock, limits);
  const streams = new StreamServer({
    sockets,
    sessions,
    messages: new MessageScheduler({ clock: systemClock, defer: setImmediate }),
    limits,
    session: {
      ...limits,
      hub: node.hub,
      eventHub: node.eventHub,
      control: { of: () => assert.fail('control is requested') },
      work: node.work,
      placement: noPlacement(),
      verify: async () => ({ subject: 's', publish: [], subscribe: ['>'] }),
      now: () => 0,
      node: 'n',
      version: '0',
      subscriptionsMax: 10,
      viewsPerConnectionMax: 64,
      logger: logger,
      counts: new SessionCounts(),
      access: freeAccess(),
      ...session,
    },
    clock: systemClock,
    logger: logger,
    routes: [],
    sessionId: () => 's',
  });
  const port = await transport.listen(streams);
  t.after(() => transport.close());
  const connect = async (welcome = true): Promise<RawWebSocket> => {
    const ws = await connectRawWebSocket({ port, path: '/v1/stream?token=t' });
    if (welcome) await ws.nextMessage();
    return ws;
  };
  return { node, errors, sessions, sockets, streams, port, connect };
}

async function assertServes(ws: RawWebSocket): Promise<void> {
  ws.sendText('{"ping":{"t":1}}');
  assert.ok('pong' in ((await ws.nextJson()) as object));
}

const unusedHub = { fallBehind: broken, pause: broken, resume: broken, position: broken };
const subscribe = '{"subscribe":{"id":"a","channel":"p.d"}}';
const internalError = { code: 1011, reason: 'internal error' };

test('a hub that throws disconnects only the client that subscribed, with 1011, and is logged once', async (t) => {
  const { connect, errors, sessions, streams } = await serving(t, {
    hub: { ...unusedHub, subscribe: broken, unsubscribe: broken },
  });
  const other = await connect();
  const ws = await connect();
  ws.sendText(subscribe);
  ws.sendText(subscribe);
  assert.deepEqual(await ws.closed, internalError);
  assert.equal(errors.length, 1);
  assert.ok((errors[0] as { error: unknown }).error instanceof TypeError);
  assert.equal(streams.counts.errors, 1);
  await assertServes(other);
  assert.equal(sessions.size, 1);
});

test('a hub that throws when a client leaves is logged once, and the session is released', async (t) => {
  const node = createLocalNode();
  const hub = { ...unusedHub, subscribe: node.hub.subscribe.bind(node.hub), unsubscribe: broken };
  const { connect, errors, sessions } = await serving(t, { hub });
  const ws = await connect();
  ws.sendText(subscribe);
  await ws.nextMessage();
  ws.socket.reset();
  await eventually(() => sessions.size === 0);
  assert.equal(errors.length, 1);
  await assertServes(await connect());
});

test('an error in any callback of a socket disconnects that client with 1011', async (t) => {
  const { connect, errors, sessions, port } = await serving(t);
  const other = await connect();
  const { add, onReceived } = sessions;
  const provocations: readonly (readonly [() => void, (ws: RawWebSocket) => void])[] = [
    [() => Object.assign(sessions, { onReceived: broken }), (ws) => ws.ping()],
    [() => Object.assign(sessions, { onReceived: broken }), (ws) => ws.pong()],
    [() => Object.assign(sessions, { onReceived: broken }), (ws) => ws.sendText('{}')],
    [() => Object.assign(sessions, { add: broken }), () => {}],
  ];
  for (const [provoke, act] of provocations) {
    const isOpen = provoke.toString().includes('add');
    const early = isOpen ? undefined : await connect();
    provoke();
    const ws = early ?? (await connect(false));
    act(ws);
    assert.deepEqual(await ws.closed, internalError);
    Object.assign(sessions, { add, onReceived });
  }
  assert.equal(errors.length, provocations.length);
  await assertServes(other);
  const socket = await connectRaw({ port });
  Object.defineProperty(sessions, 'size', { get: broken, configurable: true });
  const handshake =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
  const { status } = await exchange(socket, `GET /v1/stream HTTP/1.1\r\nHost: x\r\n${handshake}\r\n\r\n`);
  assert.equal(status, 500);
  socket.close();
  await assertServes(other);
});

test('an error while a client that lost a frame is terminated affects that client alone', async (t) => {
  const { connect, node, sockets, errors } = await serving(t);
  const other = await connect();
  const ws = await connect();
  ws.sendText(subscribe);
  await ws.nextMessage();
  const view = node.channels.find('p.d')?.views.get('json') ?? assert.fail();
  ws.socket.stopReading();
  // The session is still open; the socket is lost.
  Object.defineProperty(sockets.counts, 'tooSlow', { get: broken, set: broken });
  const frame = 'x'.repeat(30_000);
  await eventually(() => {
    for (let i = 0; i < 100; i++) sockets.publish(view.topic, frame);
    return errors.length > 0;
  });
  ws.socket.startReading();
  assert.equal((await ws.closed).code, 1006, 'no close frame is sent after a gap');
  await assertServes(other);
  assert.equal(
    ws.frames
      .filter(({ opcode }) => opcode === opcodes.text)
      .at(-1)
      ?.payload.toString(),
    frame,
  );
});
