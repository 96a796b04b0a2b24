import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { httpProbe } from '../src/uplink/link-probe.ts';

const limitMs = 10_000;

/** An HTTP server that answers with a status, and records the paths of requests. */
async function startServer(t: TestContext, status: number) {
  const paths: string[] = [];
  const server = createServer((request, response) => {
    paths.push(`${request.method} ${request.url}`);
    response.writeHead(status).end('text');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { paths, url: `http://127.0.0.1:${(server.address() as { port: number }).port}` };
}

test('a load balancer that accepts connections while it has no server is no ingest that is reachable', async (t) => {
  const balancer = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.destroy();
  });
  await new Promise<void>((resolve) => balancer.listen(0, '127.0.0.1', resolve));
  t.after(() => balancer.close());
  const { port } = balancer.address() as { port: number };
  assert.equal(await httpProbe(`http://127.0.0.1:${port}`)(limitMs), false);
  for (const status of [502, 503, 504]) {
    const { url } = await startServer(t, status);
    assert.equal(await httpProbe(url)(limitMs), false, `${status}`);
  }
});

test('any other answer to a request for the WebSocket shows that ingest is reachable', async (t) => {
  for (const status of [200, 302, 400, 401, 404, 426, 500]) {
    const { url, paths } = await startServer(t, status);
    assert.equal(await httpProbe(url.replace('http', 'ws'))(limitMs), true, `${status}`);
    assert.deepEqual(paths, ['GET /v1/device']);
  }
});

test('a server that is not there, or does not answer in time, is not reachable', async (t) => {
  assert.equal(await httpProbe('http://127.0.0.1:1')(limitMs), false);
  const mute = createTcpServer((socket) => {
    socket.on('error', () => {});
    t.after(() => socket.destroy());
  });
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  t.after(() => mute.close());
  assert.equal(await httpProbe(`http://127.0.0.1:${(mute.address() as { port: number }).port}`)(50), false);
});
