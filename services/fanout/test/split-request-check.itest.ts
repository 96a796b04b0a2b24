import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { respond } from '@tailrace/platform/web-response';
import { readsSplitRequests } from '../src/split-request-check.ts';
import { createWebServer } from '../src/uws-transport.ts';

test('the installed build of uWebSockets.js reads a request in two segments', async (t) => {
  const server = createWebServer({ host: '0.0.0.0', port: 0, logger: silentLogger });
  t.after(() => server.close());
  server.app.any(
    '/*',
    server.guarded((res) => void respond(res, 200, [], 'ok')),
  );
  const { host, port } = await server.listen();
  assert.equal(await readsSplitRequests(host, port), true);
});

test('a server that answers the first segment with 505 is detected, and an unreachable one is unknown', async () => {
  // As builds of autumn 2024 do: the first segment is taken for the whole line.
  const broken = createServer((socket: Socket) => {
    socket.once('data', (bytes) => {
      const isWhole = bytes.includes('\r\n');
      socket.end(isWhole ? 'HTTP/1.1 200 OK\r\n\r\n' : 'HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n');
    });
  }).listen(0, '127.0.0.1');
  await once(broken, 'listening');
  const { port } = broken.address() as AddressInfo;
  assert.equal(await readsSplitRequests('127.0.0.1', port), false);
  broken.close();
  await once(broken, 'close');
  assert.equal(await readsSplitRequests('127.0.0.1', port), undefined);
});
