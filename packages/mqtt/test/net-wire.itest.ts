import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createAuthority, type Identity } from '@tailrace/testkit/certificates';
import { createInbox, eventually, nextEvent } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { connectWire, listenMqtt, type MqttServer } from '../src/net-wire.ts';
import type { Wire, WireHandlers } from '../src/wire.ts';
import { type NetServer, startNetServer } from './net-server.ts';
import { connect, pingreq, pingresp, publish, shortly, split } from './raw-packets.ts';

failOnLeaks();

/** Collects all bytes until the socket is closed. */
function bytesOf(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  return new Promise((resolve) => socket.once('close', () => resolve(Buffer.concat(chunks))));
}

describe('a server over TCP', () => {
  let server: NetServer;
  before(async () => {
    server = await startNetServer();
  });
  after(() => server.stop());

  test('reads a CONNECT and a PUBLISH that come byte by byte', async () => {
    const socket = connectTcp(server.port, '127.0.0.1');
    socket.setNoDelay(true);
    const bytes = bytesOf(socket);
    for (const byte of Buffer.concat([connect({ clientId: 'slow' }), publish({ qos: 1, packetId: 9 })])) {
      await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
    }
    await server.received.next({ where: ({ clientId }) => clientId === 'slow' });
    socket.end();
    assert.deepEqual(split(await bytes).map(shortly), ['connack 0 0x00', 'puback 9']);
  });

  test('the last packet arrives although the client has sent more than was read', async () => {
    const socket = connectTcp(server.port, '127.0.0.1');
    const bytes = bytesOf(socket);
    // A second CONNECT is a protocol error. What follows it is never read.
    socket.write(Buffer.concat([connect({ version: 5 }), connect({ version: 5 }), Buffer.alloc(500_000)]));
    assert.deepEqual(split(await bytes).map(shortly), ['connack 0 0x00', 'disconnect 0x82']);
  });

  test('a client that does not close its side is closed after a second', async () => {
    const own = await startNetServer();
    const socket = connectTcp({ port: own.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    socket.write(connect());
    await nextEvent(socket, 'data');
    // Resolves when no connection is left.
    await own.stop();
    socket.destroy();
  });

  test('a port that is in use is named', async () => {
    const accept = () => undefined;
    const second = listenMqtt({ host: '127.0.0.1', port: server.port, portSetting: 'mqttPort', accept });
    await assert.rejects(second, { code: 'address_in_use', message: /mqttPort/ });
  });
});

test('send returns false while the peer does not read, and writable reports when it does', async () => {
  const accepted = createInbox<Wire>();
  const writable = createInbox<true>();
  const server: MqttServer = await listenMqtt({
    host: '127.0.0.1',
    port: 0,
    portSetting: 'mqttPort',
    accept(wire) {
      accepted.put(wire);
      return { bytes() {}, writable: () => writable.put(true), closed() {} };
    },
  });
  const socket = connectTcp(server.port, '127.0.0.1');
  socket.pause();
  const wire = await accepted.next();
  const chunk = Buffer.alloc(65_536);
  let sent = 0;
  while (wire.send(chunk)) {
    sent += chunk.length;
    assert.ok(sent < 100_000_000, 'the kernel takes everything');
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(writable.all.length, 0);
  socket.resume();
  await writable.next();
  socket.destroy();
  await server.close();
});

test('a paused wire reads nothing, and reads on when it is resumed', async () => {
  const accepted = createInbox<Wire>();
  const chunks = createInbox<string>();
  const server = await listenMqtt({
    host: '127.0.0.1',
    port: 0,
    portSetting: 'mqttPort',
    accept(wire) {
      wire.pause();
      accepted.put(wire);
      return { bytes: (chunk) => chunks.put(chunk.toString()), writable() {}, closed() {} };
    },
  });
  const socket = connectTcp(server.port, '127.0.0.1');
  const wire = await accepted.next();
  await new Promise<void>((resolve) => socket.write('held', () => resolve()));
  // Another connection is served meanwhile: the event loop has read what it can.
  const other = connectTcp(server.port, '127.0.0.1');
  await accepted.next();
  assert.deepEqual(chunks.all, []);
  wire.resume();
  assert.equal(await chunks.next(), 'held');
  socket.destroy();
  other.destroy();
  await server.close();
});

describe('a server over TLS', () => {
  let server: NetServer;
  let caFile: string;
  let identity: Identity;
  let removeDir: () => Promise<void>;
  before(async () => {
    const dir = await createTempDir('mqtt-tls');
    removeDir = () => dir.remove();
    const authority = await createAuthority(dir.path);
    caFile = authority.caFile;
    identity = await authority.issue('server');
    server = await startNetServer({
      tls: { cert: await readFile(identity.certFile), key: await readFile(identity.keyFile) },
    });
  });
  after(async () => {
    await server.stop();
    await removeDir();
  });

  test('serves a client that knows its authority', async () => {
    const closed = createInbox<Error | undefined>();
    const chunks = createInbox<Buffer>();
    const handlers: WireHandlers = {
      bytes: (chunk) => chunks.put(Buffer.from(chunk)),
      writable() {},
      closed: (error) => closed.put(error),
    };
    const wire = connectWire({ host: 'localhost', port: server.port, tls: { ca: await readFile(caFile) } }, handlers);
    wire.send(connect({ clientId: 'secure' }));
    wire.send(pingreq);
    await eventually(() => assert.ok(Buffer.concat(chunks.all).includes(pingresp)));
    assert.equal(server.connections.has('secure'), true);
    wire.close();
    assert.equal(await closed.next(), undefined);
  });

  test('reports why a client does not trust it', async () => {
    const closed = createInbox<Error | undefined>();
    connectWire(
      { host: 'localhost', port: server.port, tls: {} },
      { bytes() {}, writable() {}, closed: (error) => closed.put(error) },
    );
    assert.match(String(await closed.next()), /certificate/);
  });

  test('closes a client without TLS', async () => {
    const socket = connectTcp(server.port, '127.0.0.1');
    const bytes = bytesOf(socket);
    socket.write(connect());
    // It may get an alert of TLS.
    assert.notEqual((await bytes)[0], 0x20);
  });

  test('close does not wait for a client that never starts the handshake', async () => {
    const own = await startNetServer({
      tls: { cert: await readFile(identity.certFile), key: await readFile(identity.keyFile) },
    });
    const socket = connectTcp(own.port, '127.0.0.1');
    socket.on('error', () => {});
    await nextEvent(socket, 'connect');
    const startedMs = performance.now();
    await own.stop();
    assert.ok(performance.now() - startedMs < 5000);
    socket.destroy();
  });

  test('serves two connections of one TLS session', async () => {
    for (let times = 0; times < 2; times++) {
      const socket = connectTls({ host: 'localhost', port: server.port, ca: await readFile(caFile) });
      const bytes = bytesOf(socket);
      socket.write(Buffer.concat([connect({ clientId: 'again' }), Buffer.of(0xe0, 0)]));
      assert.deepEqual(split(await bytes).map(shortly), ['connack 0 0x00']);
    }
  });
});

test('a connection that is refused is reported once', async () => {
  const server = await startNetServer();
  const { port } = server;
  await server.stop();
  const closed = createInbox<Error | undefined>();
  connectWire({ host: '127.0.0.1', port }, { bytes() {}, writable() {}, closed: (error) => closed.put(error) });
  assert.match(String(await closed.next()), /ECONNREFUSED/);
  assert.equal(closed.all.length, 1);
});
