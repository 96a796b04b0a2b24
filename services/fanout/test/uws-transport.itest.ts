import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { connectRaw } from '@tailrace/testkit/raw-socket';
import { WebSocket } from 'ws';
import type { HttpAnswer, HttpRequest, Route, Transport, TransportHandlers } from '../src/transport.ts';
import { createUwsTransport } from '../src/uws-transport.ts';
import {
  type ContractAnswer,
  type ContractClient,
  contractSocketBytesMax,
  type TransportUnderTest,
  transportContract,
} from './transport-contract.ts';

failOnLeaks();

const unusedHandlers: TransportHandlers<object> = {
  path: '/v1/stream',
  routes: [],
  otherwise: () => ({ status: 404, headers: [], body: '' }),
  handshake: () => ({ status: 503, headers: [], body: '' }),
  opened() {},
  message() {},
  heartbeat() {},
  dropped() {},
  drained() {},
  closed() {},
};

function startUws(): TransportUnderTest {
  const uws = createUwsTransport(
    {
      host: '127.0.0.1',
      port: 0,
      messageBytesMax: 1_024,
      socketBytesMax: contractSocketBytesMax,
      heartbeatMs: 30_000,
      pongDeadlineMs: 10_000,
    },
    silentLogger,
  );
  let port = 0;
  const transport: Transport = {
    async listen<C extends object>(handlers: TransportHandlers<C>) {
      port = await uws.listen(handlers);
      return port;
    },
    publish: (topic, frame) => uws.publish(topic, frame),
    close: () => uws.close(),
    unfinishedBodies: () => uws.unfinishedBodies(),
  };
  return {
    transport,
    connect: (target, headers = {}) => connect(`ws://127.0.0.1:${port}${target}`, headers),
    async fetch(method, target, { headers = {}, body } = {}) {
      const response = await fetch(`http://127.0.0.1:${port}${target}`, {
        method,
        headers: { ...headers, connection: 'close' },
        ...(body !== undefined && { body }),
      });
      return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
    },
  };
}

function connect(url: string, headers: Readonly<Record<string, string>>): Promise<ContractClient | ContractAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<ContractClient | ContractAnswer>();
  const received: string[] = [];
  let closed: { code: number; reason: string } | undefined;
  const socket = new WebSocket(url, { headers, perMessageDeflate: false });
  socket.on('error', reject);
  socket.on('unexpected-response', (_request, response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers as Record<string, string>,
        body: Buffer.concat(chunks).toString(),
      }),
    );
  });
  socket.on('message', (data: Buffer, isBinary) =>
    received.push(isBinary ? `binary:${data.toString('hex')}` : data.toString('utf8')),
  );
  socket.on('close', (code, reason) => {
    closed = { code, reason: reason.toString() };
  });
  socket.on('open', () =>
    resolve({
      received,
      get closed() {
        return closed;
      },
      send: (data) => socket.send(data),
      leave: () => socket.close(1000),
      stopReading: () => socket.pause(),
      startReading: () => socket.resume(),
    }),
  );
  return promise;
}

transportContract('uWebSockets.js', startUws);

test('a request is aborted when its client leaves, also after its body was read', async (t) => {
  const { transport } = startUws();
  t.after(() => transport.close());
  let request: HttpRequest | undefined;
  const { promise: left, resolve: answer } = Promise.withResolvers<HttpAnswer>();
  const route: Route = {
    method: 'POST',
    path: '/v1/wait',
    async answer(received) {
      const body = await received.body(10);
      request = received;
      assert.equal(String(body), 'body');
      return await left;
    },
  };
  const port = await transport.listen({ ...unusedHandlers, routes: [route] });
  const socket = await connectRaw({ port });
  socket.write('POST /v1/wait HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody');
  await eventually(() => request !== undefined);
  assert.equal(request?.isAborted, false);
  socket.reset();
  await eventually(() => request?.isAborted === true);
  answer({ status: 200, headers: [], body: '' });
});
