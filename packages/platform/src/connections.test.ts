import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { createManualClock } from '../test/manual-clock.ts';
import { proxiesFrom } from './client-address.ts';
import { type Connection, type ConnectionLimits, Connections, unfinishedMax } from './connections.ts';

/** A server whose connections the test opens, each 25 ms before the next one, except those of a `burst`. */
function serverWith(limits: ConnectionLimits) {
  const server = new EventEmitter();
  const clock = createManualClock();
  const connections = new Connections(server as unknown as Server, limits, clock);
  server.emit('listening');
  const passNewMs = () => clock.advance(25);
  const burst = (addresses: readonly string[]) => addresses.map((address) => new Peer(server, connections, address));
  const peer = (address: string) => {
    const [opened] = burst([address]);
    passNewMs();
    return opened!;
  };
  return { server, clock, connections, burst, passNewMs, peer };
}

/** The client's side of one connection. */
class Peer extends EventEmitter {
  readonly remoteAddress: string;
  isClosed = false;
  readonly #connections: Connections;

  constructor(server: EventEmitter, connections: Connections, address: string) {
    super();
    this.remoteAddress = address;
    this.#connections = connections;
    server.emit('connection', this);
  }

  destroy(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.emit('close');
  }

  /**
   * Sends a request's head; `complete`: with its body. Returns the request as received, its response, and a function
   * that sends the response.
   */
  request(complete = true) {
    const response = { writableEnded: false };
    const received = { socket: this as unknown as Socket, complete };
    const connection = this.#connections.startRequest(received as IncomingMessage, response as ServerResponse)!;
    return { received, response, respond: () => this.#connections.finishRequest(connection) };
  }

  /** Changes the protocol of the connection. */
  upgrade(): Connection {
    const connection = this.#connections.of(this as unknown as Socket)!;
    this.#connections.startUpgraded(connection);
    return connection;
  }
}

test('at the limit a new connection replaces the one that has waited longest without a request', () => {
  const { connections, peer } = serverWith({ connectionsMax: 3 });
  const [first, second, third] = [peer('10.0.0.1'), peer('10.0.0.1'), peer('10.0.0.1')];
  const fourth = peer('10.0.0.1');
  assert.deepEqual([first.isClosed, second.isClosed, third.isClosed, fourth.isClosed], [true, false, false, false]);
  assert.equal(connections.size, 3);
  assert.equal(connections.counts.evicted, 1);
});

test('a connection of the address with the most is closed, not the one that has waited longer', () => {
  const { connections, peer } = serverWith({ connectionsMax: 4 });
  const honest = peer('10.0.0.9');
  const many = [peer('10.0.0.1'), peer('10.0.0.1'), peer('10.0.0.1')];
  const next = peer('10.0.0.2');
  assert.deepEqual(
    [honest, ...many, next].map(({ isClosed }) => isClosed),
    [false, true, false, false, false],
  );
  assert.equal(connections.mostOfOneAddress, 2);
});

test('a connection whose body is processed while it is received is not replaced before its response', () => {
  const { connections, peer } = serverWith({ connectionsMax: 2 });
  const stream = peer('10.0.0.1');
  const { respond } = stream.request(false);
  connections.of(stream as unknown as Socket)!.isStreaming = true;
  assert.equal(connections.incomplete, 0);
  const second = peer('10.0.0.1');
  const third = peer('10.0.0.1');
  assert.deepEqual([stream.isClosed, second.isClosed, third.isClosed], [false, true, false]);
  respond();
  third.request(false);
  peer('10.0.0.1');
  assert.deepEqual([stream.isClosed, third.isClosed], [false, true]);
  peer('10.0.0.1').request();
  peer('10.0.0.1');
  assert.equal(stream.isClosed, true);
});

test('the addresses of an IPv6 /64 are one address', () => {
  const { peer } = serverWith({ connectionsMax: 3 });
  const honest = peer('2001:db8:0:9::1');
  const many = [peer('2001:db8:0:7::1'), peer('2001:db8:0:7:ffff::2')];
  peer('2001:db8:0:8::1');
  assert.deepEqual([honest.isClosed, many[0]!.isClosed, many[1]!.isClosed], [false, true, false]);
});

test('a request that is being served is never closed; an idle connection is, after those without a request', () => {
  const { peer } = serverWith({ connectionsMax: 3 });
  const serving = peer('10.0.0.1');
  serving.request();
  const idle = peer('10.0.0.1');
  idle.request().respond();
  const waiting = peer('10.0.0.1');
  const upload = peer('10.0.0.1');
  upload.request(false);
  assert.deepEqual([serving.isClosed, idle.isClosed, waiting.isClosed], [false, false, true]);
  peer('10.0.0.1');
  assert.deepEqual([serving.isClosed, idle.isClosed, upload.isClosed], [false, false, true], 'an unfinished body');
  const last = peer('10.0.0.1');
  last.request();
  const more = peer('10.0.0.1');
  assert.deepEqual([serving.isClosed, idle.isClosed, more.isClosed], [false, true, false]);
});

test('if every connection is being served, the new one is closed, and nothing of it is kept', () => {
  const { connections, peer } = serverWith({ connectionsMax: 2 });
  const requests = [peer('10.0.0.1').request(), peer('10.0.0.2').request()];
  const refused = peer('10.0.0.3');
  assert.ok(refused.isClosed);
  assert.deepEqual([connections.size, connections.counts.refused], [2, 1]);
  requests[0]!.respond();
  assert.ok(!peer('10.0.0.3').isClosed);
});

test('of a burst, those stay that send a request within 25 ms, although the limit is exceeded meanwhile', () => {
  const { clock, connections, burst, peer } = serverWith({ connectionsMax: 4 });
  const slow = peer('10.0.0.1');
  const first = burst(new Array(20).fill('10.0.0.1'));
  assert.equal(slow.isClosed, true);
  assert.equal(connections.size, 20);
  clock.advance(10);
  const second = burst(new Array(20).fill('10.0.0.1'));
  clock.advance(14);
  first[1]!.request();
  clock.advance(1);
  assert.equal(first[1]!.isClosed, false);
  assert.equal(first.filter(({ isClosed }) => !isClosed).length, 1);
  assert.equal(second.filter(({ isClosed }) => !isClosed).length, 20);
  second[1]!.request();
  clock.advance(10);
  assert.equal(second[1]!.isClosed, false);
  assert.equal(connections.size, 4);
  assert.equal(first[1]!.isClosed, false);
  assert.deepEqual(connections.counts, { evicted: 1, refused: 36, unread: 0, unfinished: 0 });
});

test('while 512 connections are new, further ones are closed at once', () => {
  const { connections, burst, passNewMs } = serverWith({ connectionsMax: 4 });
  const opened = burst(new Array(520).fill('10.0.0.1'));
  assert.equal(connections.size, 512);
  assert.equal(opened.at(-1)!.isClosed, true);
  passNewMs();
  assert.equal(connections.size, 4);
  assert.equal(connections.counts.refused, 516);
});

test('a connection whose client does not read its response can be replaced', () => {
  const { clock, connections, peer } = serverWith({ connectionsMax: 2 });
  const stuck = peer('10.0.0.1');
  stuck.request().response.writableEnded = true;
  const slow = peer('10.0.0.1');
  slow.request().response.writableEnded = true;
  peer('10.0.0.1');
  assert.deepEqual([stuck.isClosed, slow.isClosed], [true, false]);
  clock.advance(5_000);
  assert.ok(!slow.isClosed);
  clock.advance(5_000);
  assert.ok(slow.isClosed);
  assert.equal(connections.counts.unread, 1);
});

test('the connections of one address are limited; those of a trusted proxy are not, and are replaced last', () => {
  const { connections, peer } = serverWith({
    connectionsMax: 5,
    addressConnectionsMax: 2,
    trustedProxies: proxiesFrom(['192.0.2.0/24']),
  });
  const proxied = [peer('192.0.2.1'), peer('192.0.2.1'), peer('192.0.2.1')];
  const many = [peer('10.0.0.1'), peer('10.0.0.1')];
  const third = peer('10.0.0.1');
  assert.deepEqual([many[0]!.isClosed, third.isClosed], [true, false]);
  const other = peer('10.0.0.2');
  assert.deepEqual([many[1]!.isClosed, other.isClosed], [true, false]);
  assert.ok(proxied.every(({ isClosed }) => !isClosed));
  assert.equal(connections.size, 5);
});

test('an address whose only connection was replaced by its next one is still counted', () => {
  const { connections, peer } = serverWith({ connectionsMax: 9, addressConnectionsMax: 1 });
  const [first, second, third] = [peer('10.0.0.1'), peer('10.0.0.1'), peer('10.0.0.1')];
  assert.deepEqual([first.isClosed, second.isClosed, third.isClosed], [true, true, false]);
  assert.deepEqual([connections.size, connections.mostOfOneAddress], [1, 1]);
});

test('a connection between two requests is idle, and not counted as one without a request', () => {
  const { connections, peer } = serverWith({ connectionsMax: 9 });
  const client = peer('10.0.0.1');
  assert.equal(connections.incomplete, 1);
  client.request().respond();
  assert.equal(connections.incomplete, 0);
  const upload = client.request(false);
  assert.equal(connections.incomplete, 1);
  upload.respond();
  client.destroy();
  assert.deepEqual([connections.incomplete, connections.size, connections.mostOfOneAddress], [0, 0, 0]);
});

test('an upgraded connection is replaced like one without a request', () => {
  const { connections, peer } = serverWith({ connectionsMax: 3 });
  const waiting = peer('10.0.0.1');
  const upgraded = peer('10.0.0.1');
  // Between two requests before: it waits since the upgrade.
  upgraded.request().respond();
  upgraded.upgrade();
  peer('10.0.0.1').request();
  assert.deepEqual([connections.upgraded, connections.incomplete], [1, 1]);
  peer('10.0.0.1').request();
  assert.deepEqual([waiting.isClosed, upgraded.isClosed], [true, false]);
  peer('10.0.0.1').request();
  assert.deepEqual([upgraded.isClosed, connections.upgraded], [true, 0]);
});

test('an upgraded connection with an authenticated client is out of the limits, and never replaced', () => {
  const { connections, peer } = serverWith({ connectionsMax: 2, addressConnectionsMax: 1 });
  const devices = [1, 2, 3].map(() => {
    const device = peer('10.0.0.1');
    const connection = device.upgrade();
    connections.authenticated(connection);
    connections.authenticated(connection);
    return device;
  });
  assert.deepEqual([connections.size, connections.upgraded, connections.mostOfOneAddress], [0, 3, 0]);
  const [request, other] = [peer('10.0.0.1').request(), peer('10.0.0.2').request()];
  assert.ok(peer('10.0.0.3').isClosed);
  assert.deepEqual([connections.size, connections.incomplete], [2, 0]);
  assert.ok(devices.every(({ isClosed }) => !isClosed));
  request.respond();
  other.respond();
  devices[0]!.destroy();
  assert.deepEqual([connections.size, connections.upgraded, connections.mostOfOneAddress], [2, 2, 1]);
  connections.closeUpgraded();
  assert.ok(devices.every(({ isClosed }) => isClosed));
  assert.deepEqual([connections.size, connections.upgraded, connections.mostOfOneAddress], [2, 0, 1]);
});

test('a new connection whose client is authenticated at once is not closed when the limits are applied', () => {
  const { burst, passNewMs, connections } = serverWith({ connectionsMax: 1 });
  const [first, second, device] = burst(['10.0.0.1', '10.0.0.1', '10.0.0.1']);
  first!.request();
  second!.request();
  connections.authenticated(device!.upgrade());
  passNewMs();
  assert.deepEqual([first!.isClosed, second!.isClosed, device!.isClosed], [false, true, false]);
});

test('a client that is authenticated after its connection was replaced changes no count', () => {
  const { connections, peer } = serverWith({ connectionsMax: 1 });
  const connection = peer('10.0.0.1').upgrade();
  peer('10.0.0.2');
  connections.authenticated(connection);
  assert.deepEqual([connections.size, connections.upgraded, connections.mostOfOneAddress], [1, 0, 1]);
});

test('a client that does not send the rest of an answered request is closed after 10 to 15 s', () => {
  const { clock, connections, peer } = serverWith({ connectionsMax: 9 });
  const [stuck, slow, next] = [peer('10.0.0.1'), peer('10.0.0.2'), peer('10.0.0.3')];
  stuck.request(false).respond();
  const upload = slow.request(false);
  upload.respond();
  next.request(false);
  clock.advance(9_000);
  assert.equal(stuck.isClosed, false);
  upload.received.complete = true;
  clock.advance(6_000);
  assert.deepEqual([stuck.isClosed, slow.isClosed, next.isClosed], [true, false, false]);
  slow.request(false);
  clock.advance(20_000);
  assert.equal(slow.isClosed, false, 'the body of an unanswered request has another deadline');
  assert.equal(connections.counts.unfinished, 1);
});

test('of clients that do not send the rest of answered requests, the longest is closed beyond a number', () => {
  const { connections, peer } = serverWith({ connectionsMax: 1_000 });
  const stuck = Array.from({ length: unfinishedMax }, (_, n) => peer(`10.0.1.${n % 250}`));
  for (const client of stuck) client.request(false).respond();
  assert.equal(connections.counts.unfinished, 0);
  const upload = peer('10.0.2.1').request(false);
  upload.respond();
  assert.deepEqual(
    stuck.map(({ isClosed }) => isClosed),
    stuck.map((_, n) => n === 0),
  );
  assert.equal(connections.counts.unfinished, 1);
  const whole = peer('10.0.2.2').request(false);
  whole.respond();
  assert.equal(stuck[1]!.isClosed, true);
});

test('a server that has closed leaves no timer', () => {
  const { server, clock } = serverWith({ connectionsMax: 1 });
  assert.equal(clock.timers(), 1);
  server.emit('close');
  assert.equal(clock.timers(), 0);
});
