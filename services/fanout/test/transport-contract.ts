import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TailraceError } from '@tailrace/protocol/error';
import { eventually } from '@tailrace/testkit/eventually';
import type { Accepted, Connection, HttpAnswer, RequestHead, Transport, TransportHandlers } from '../src/transport.ts';

/** The client's end of a connection, whatever the transport. */
export interface ContractClient {
  /** The frames received, in order; bytes as `binary:…` in hex. */
  readonly received: readonly string[];
  /** The close code and reason; undefined while it is open. */
  readonly closed: { readonly code: number; readonly reason: string } | undefined;
  send(data: string | Uint8Array): void;
  leave(): void;
  /** Stops reading until `startReading`. */
  stopReading(): void;
  startReading(): void;
}

export interface ContractAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A transport under test, and its clients. */
export interface TransportUnderTest {
  readonly transport: Transport;
  connect(target: string, headers?: Readonly<Record<string, string>>): Promise<ContractClient | ContractAnswer>;
  fetch(
    method: string,
    target: string,
    options?: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string },
  ): Promise<ContractAnswer>;
}

interface Peer {
  readonly query: string;
  connection?: Connection;
  readonly events: string[];
}

/** The waiting bytes above which frames are dropped, in the suite. */
export const contractSocketBytesMax = 65_536;

/** Handlers that record events. */
class RecordingHandlers implements TransportHandlers<Peer> {
  readonly path = '/v1/stream';
  readonly peers: Peer[] = [];
  readonly routes = [
    {
      method: 'GET' as const,
      path: '/v1/echo',
      answer: (request: RequestHead): HttpAnswer => ({
        status: 200,
        headers: [['content-type', 'text/plain']],
        body: `${request.method} ${request.path} ${request.query} ${request.header('x-name')}`,
      }),
    },
    {
      method: 'POST' as const,
      path: '/v1/echo',
      answer: async (request: { body(bytesMax: number): Promise<Buffer> }): Promise<HttpAnswer> => {
        try {
          const body = await request.body(10);
          return { status: 202, headers: [], body: `got ${body}` };
        } catch (thrown) {
          return { status: 413, headers: [], body: (thrown as TailraceError).code };
        }
      },
    },
    {
      method: 'DELETE' as const,
      path: '/v1/things/:id',
      answer: ({ path }: RequestHead): HttpAnswer => ({ status: 202, headers: [], body: `deleted ${path}` }),
    },
  ];

  otherwise({ path }: RequestHead): HttpAnswer {
    return { status: 404, headers: [], body: `nothing at ${path}` };
  }

  handshake(request: RequestHead): Accepted<Peer> | HttpAnswer {
    if (request.query === 'refuse') return { status: 503, headers: [['retry-after', '1']], body: 'no' };
    const peer: Peer = { query: request.query, events: [] };
    return { subprotocol: request.header('sec-websocket-protocol'), context: peer };
  }

  opened(peer: Peer, connection: Connection): void {
    peer.connection = connection;
    this.peers.push(peer);
  }

  message(peer: Peer, data: Uint8Array, isBinary: boolean): void {
    const text = Buffer.from(data.buffer, data.byteOffset, data.length);
    peer.events.push(isBinary ? `binary ${text.toString('hex')}` : `text ${text}`);
  }

  heartbeat(peer: Peer): void {
    peer.events.push('heartbeat');
  }

  dropped(peer: Peer): void {
    peer.events.push('dropped');
  }

  drained(peer: Peer): void {
    peer.events.push('drained');
  }

  closed(peer: Peer, code: number): void {
    peer.events.push(`closed ${code}`);
  }
}

/** The contract of every transport. */
export function transportContract(name: string, start: () => TransportUnderTest): void {
  const using = async (
    run: (
      under: TransportUnderTest,
      handlers: RecordingHandlers,
      connect: (query?: string) => Promise<[ContractClient, Peer]>,
    ) => Promise<void>,
  ) => {
    const under = start();
    const handlers = new RecordingHandlers();
    await under.transport.listen(handlers);
    const connect = async (query = ''): Promise<[ContractClient, Peer]> => {
      const client = await under.connect(`/v1/stream${query === '' ? '' : `?${query}`}`);
      assert.ok('received' in client, JSON.stringify(client));
      await eventually(() => handlers.peers.some((peer) => peer.query === query));
      return [client, handlers.peers.findLast((peer) => peer.query === query)!];
    };
    try {
      await run(under, handlers, connect);
    } finally {
      under.transport.close();
    }
  };
  const promise = (what: string, run: Parameters<typeof using>[0]) => test(`${name}: ${what}`, () => using(run));

  promise(
    'a published frame reaches the subscribed connections, once each and in order',
    async ({ transport }, _, connect) => {
      const [a, peerA] = await connect('a');
      const [b, peerB] = await connect('b');
      peerA.connection!.subscribe('t');
      peerB.connection!.subscribe('u');
      transport.publish('t', 'one');
      transport.publish('t', new Uint8Array([1, 255]));
      transport.publish('unused', 'x');
      transport.publish('u', 'two');
      await eventually(() => a.received.length === 2 && b.received.length === 1);
      assert.deepEqual([a.received, b.received], [['one', 'binary:01ff'], ['two']]);
      assert.deepEqual(peerA.connection!.getTopics(), ['t']);
    },
  );

  promise(
    'after unsubscribe nothing more of the topic arrives, and what is sent later comes after what was published',
    async ({ transport }, _, connect) => {
      const [a, { connection }] = await connect('a');
      connection!.subscribe('t');
      transport.publish('t', 'one');
      connection!.unsubscribe('t');
      transport.publish('t', 'two');
      connection!.send('three', false);
      await eventually(() => a.received.includes('three'));
      assert.deepEqual(a.received, ['one', 'three']);
    },
  );

  promise('messages arrive as they were sent, text and binary', async (_under, _handlers, connect) => {
    const [a, { events }] = await connect('a');
    a.send('größe');
    a.send(new Uint8Array([0, 1]));
    await eventually(() => events.length === 2);
    assert.deepEqual(events, ['text größe', 'binary 0001']);
  });

  promise('a client answers a ping', async (_under, _handlers, connect) => {
    const [, peer] = await connect('a');
    peer.connection!.ping();
    await eventually(() => peer.events.includes('heartbeat'));
  });

  promise(
    'end closes with code and reason after what was sent, and notifies at once',
    async (_under, _handlers, connect) => {
      const [a, { connection, events }] = await connect('a');
      connection!.send('last', false);
      connection!.end(4401, 'token expired');
      assert.deepEqual(events, ['closed 4401']);
      await eventually(() => a.closed !== undefined);
      assert.deepEqual([a.received, a.closed], [['last'], { code: 4401, reason: 'token expired' }]);
    },
  );

  promise('close terminates without a close frame, and notifies at once', async (_under, _handlers, connect) => {
    const [a, { connection, events }] = await connect('a');
    connection!.close();
    assert.deepEqual(events, ['closed 1006']);
    await eventually(() => a.closed !== undefined);
    assert.equal(a.closed!.code, 1006);
  });

  promise('a client that leaves is off its topics', async ({ transport }, _, connect) => {
    const [a, peerA] = await connect('a');
    const [b, peerB] = await connect('b');
    for (const { connection } of [peerA, peerB]) connection!.subscribe('t');
    a.leave();
    await eventually(() => peerA.events.length > 0);
    assert.deepEqual(peerA.events, ['closed 1000']);
    transport.publish('t', 'one');
    await eventually(() => b.received.length > 0);
    assert.deepEqual(a.received, []);
  });

  promise(
    'a connection that does not read has frames dropped once it is full, and others do not',
    async ({ transport }, _, connect) => {
      const [a, slow] = await connect('a');
      const [b, other] = await connect('b');
      for (const { connection } of [slow, other]) connection!.subscribe('t');
      a.stopReading();
      const frame = 'x'.repeat(16_384);
      let published = 0;
      await eventually(
        () => {
          transport.publish('t', frame);
          published++;
          return slow.events.includes('dropped');
        },
        { describe: 'a frame is dropped' },
      );
      assert.ok(slow.connection!.getBufferedAmount() <= contractSocketBytesMax + 2 * frame.length);
      await eventually(() => b.received.length === published, { describe: 'the other gets all' });
      assert.ok(!other.events.includes('dropped'));
      a.startReading();
      await eventually(() => slow.events.includes('drained') && slow.connection!.getBufferedAmount() === 0);
    },
  );

  promise('a refused handshake is answered, and opens nothing', async ({ connect }, handlers) => {
    const answer = await connect('/v1/stream?refuse');
    assert.ok('status' in answer);
    assert.deepEqual([answer.status, answer.body, answer.headers['retry-after']], [503, 'no', '1']);
    assert.deepEqual(handlers.peers, []);
  });

  promise('a route with a colon answers for any one segment in its place', async ({ fetch }) => {
    const outcome = async (method: string, target: string) => {
      const { status, body } = await fetch(method, target);
      return [status, body];
    };
    assert.deepEqual(await outcome('DELETE', '/v1/things/a_-1'), [202, 'deleted /v1/things/a_-1']);
    assert.deepEqual(await outcome('DELETE', '/v1/things/a/b'), [404, 'nothing at /v1/things/a/b']);
    assert.deepEqual(await outcome('DELETE', '/v1/things'), [404, 'nothing at /v1/things']);
    assert.deepEqual(await outcome('POST', '/v1/things/a'), [404, 'nothing at /v1/things/a']);
  });

  promise('routes answer by method and path; everything else is answered in one place', async ({ fetch }) => {
    const echoed = await fetch('GET', '/v1/echo?a=1', { headers: { 'x-name': 'n' } });
    assert.deepEqual([echoed.status, echoed.body], [200, 'GET /v1/echo a=1 n']);
    assert.equal(echoed.headers['content-type'], 'text/plain');
    assert.equal((await fetch('POST', '/v1/echo', { body: 'ten bytes!' })).body, 'got ten bytes!');
    assert.deepEqual(
      await fetch('POST', '/v1/echo', { body: 'eleven byte' }).then(({ status, body }) => [status, body]),
      [413, 'too_large'],
    );
    const other = await fetch('GET', '/v1/other');
    assert.deepEqual([other.status, other.body], [404, 'nothing at /v1/other']);
  });

  promise('close terminates all connections', async ({ transport }, _, connect) => {
    const [a] = await connect('a');
    const [b] = await connect('b');
    transport.close();
    await eventually(() => a.closed !== undefined && b.closed !== undefined);
  });
}
