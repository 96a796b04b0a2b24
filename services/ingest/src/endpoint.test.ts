import assert from 'node:assert/strict';
import { test } from 'node:test';
import { corsFrom } from '@tailrace/platform/cors';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { noTracing } from '@tailrace/platform/tracing';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { Answers } from './answers.ts';
import type { DeviceSocketServer } from './devices/device-socket.ts';
import { MemoryDevice } from './devices/memory-sockets.ts';
import { Endpoint, type EndpointOptions } from './endpoint.ts';
import { MemoryTransport } from './memory-transport.ts';
import { createIngestMetrics } from './metrics.ts';
import { Observer } from './observer.ts';

/** An endpoint that serves sockets alone, on a transport in memory. `accept` is that of the path /v1/device. */
async function servingSockets(accept: DeviceSocketServer['accept'] = () => () => ignoreEvents) {
  const clock = createFakeClock();
  const metrics = createMetrics({ service: 'ingest', node: 'test', processMetrics: false });
  const endpoint = new Endpoint({
    answers: new Answers(2_000),
    cors: corsFrom(['https://app.example'], { methods: 'POST', headers: '' }),
    observer: new Observer({
      ...{ metrics: createIngestMetrics(metrics), tracing: noTracing, clock, topic: 't', system: undefined },
    }),
    logger: silentLogger,
    sockets: new Map([['/v1/device', { subprotocols: [], messageBytesMax: 1_000, accept }]]),
  } as unknown as EndpointOptions);
  const transport = new MemoryTransport({ clock, logger: silentLogger });
  await transport.listen(endpoint);
  const count = async (outcome: string) =>
    new RegExp(`tailrace_ingest_requests_total\\{[^}]*outcome="${outcome}"[^}]*\\} (\\d+)`).exec(
      await metrics.text(),
    )?.[1];
  /** Returns the status; 101 for an opened socket. */
  const connect = (target: string, headers: Readonly<Record<string, string>> = {}) => {
    const answer = transport.connectDevice({ target, headers });
    return answer instanceof MemoryDevice ? 101 : answer?.status;
  };
  return { endpoint, transport, connect, count };
}

const ignoreEvents = { message() {}, ping() {}, pong() {}, closed() {} };

test('a request for a WebSocket is passed to what serves its path, and counted', async () => {
  const paths: string[] = [];
  const { connect, count } = await servingSockets((head) => {
    paths.push(head.path, head.header('authorization'));
    return () => ignoreEvents;
  });
  assert.equal(connect('/v1/device?a=b', { authorization: 'Bearer x' }), 101);
  assert.deepEqual(paths, ['/v1/device', 'Bearer x']);
  assert.equal(connect('/v1/other'), undefined);
  assert.deepEqual([await count('upgraded'), await count('unsupported')], ['1', '0']);
});

test('a request for a WebSocket is refused with the error of what serves its path', async () => {
  let error: unknown = new TailraceError('limit_reached', 'expected at most 10 sessions, got 11');
  const { transport, count } = await servingSockets(() => {
    throw error;
  });
  const refused = transport.connectDevice({ target: '/v1/device' });
  assert.ok(refused !== undefined && !(refused instanceof MemoryDevice));
  assert.deepEqual([refused.status, refused.headers[1]], [503, ['Retry-After', '2']]);
  assert.match(refused.body, /expected at most 10 sessions, got 11/);
  error = new RangeError('a mistake');
  const failed = transport.connectDevice({ target: '/v1/device' });
  assert.ok(failed !== undefined && !(failed instanceof MemoryDevice));
  assert.equal(failed.status, 500);
  assert.doesNotMatch(failed.body, /a mistake/);
  assert.deepEqual([await count('overloaded'), await count('internal')], ['1', '1']);
});

test('a page of a web site may open a socket only from an allowed origin', async () => {
  const { connect, count } = await servingSockets();
  assert.equal(connect('/v1/device', { origin: 'https://other.example' }), 403);
  assert.equal(connect('/v1/device', { origin: 'null' }), 403);
  assert.equal(connect('/v1/device', { origin: 'https://app.example' }), 101);
  assert.equal(await count('forbidden'), '2');
});

test('a server that leaves or drains refuses WebSockets', async () => {
  const { endpoint, connect } = await servingSockets();
  endpoint.leave();
  assert.equal(connect('/v1/device'), 503);
  endpoint.drain();
  assert.equal(connect('/v1/device'), 503);
});

test('a request for a WebSocket that is invalid, or none, is answered with what is expected', async () => {
  const { transport, connect } = await servingSockets(() => {
    throw new RangeError('accept was called');
  });
  assert.equal(connect('/v1/device', { 'sec-websocket-version': '8' }), 426);
  assert.equal(connect('/v1/device', { 'sec-websocket-key': '' }), 400);
  const plain = await transport.request({ method: 'GET', target: '/v1/device' });
  assert.equal(plain?.status, 426);
  const headers = Object.fromEntries(plain?.headers ?? []);
  assert.deepEqual([headers['Upgrade'], headers['Sec-WebSocket-Version']], ['websocket', '13']);
  const post = await transport.request({ method: 'POST', target: '/v1/device' });
  assert.deepEqual([post?.status, Object.fromEntries(post?.headers ?? [])['Allow']], [405, 'GET']);
});
