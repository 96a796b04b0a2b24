import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { createDashboard } from '../app.ts';

const config = { host: '127.0.0.1', port: 0, streamUrl: '', publicIngestUrl: '', controlUrl: '', demoToken: '' };

/** A dashboard with a page of one line. */
async function serving(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'tailrace-dashboard-'));
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>Tailrace</title>');
  const metrics = createMetrics({ service: 'dashboard', node: 'test', processMetrics: false });
  const dashboard = createDashboard({ config, logger: silentLogger, metrics, folder });
  const { port } = await dashboard.start();
  t.after(async () => {
    await dashboard.stop();
    await rm(folder, { recursive: true });
  });
  const metric = async (name: string) => {
    const [, value] = new RegExp(`^${name}\\{.*\\} (\\S+)$`, 'm').exec(await metrics.text()) ?? assert.fail(name);
    return Number(value);
  };
  return { port, metric };
}

/** One request on a connection of its own. */
async function ask(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(request);
  return (await text(socket)).split('\r\n', 1)[0]!;
}

test('the health checks that load balancers send by default are answered', async (t) => {
  const { port } = await serving(t);
  for (const method of ['GET', 'HEAD', 'OPTIONS']) {
    for (const path of ['/', '/healthz']) {
      const head = 'Host: x\r\nConnection: close\r\n\r\n';
      assert.equal(await ask(port, `${method} ${path} HTTP/1.1\r\n${head}`), 'HTTP/1.1 200 OK', `${method} ${path}`);
      assert.equal(await ask(port, `${method} ${path} HTTP/1.0\r\n\r\n`), 'HTTP/1.1 200 OK', `${method} ${path}`);
    }
  }
});

test('2,400 unfinished heads and bodies exclude no other client', async (t) => {
  const { port, metric } = await serving(t);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (let i = 0; i < 2_400; i++) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    sockets.push(socket);
    const head = 'Host: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{';
    socket.write(i % 2 === 0 ? 'GET / HTTP/1.1\r\n' : `POST / HTTP/1.1\r\n${head}`);
    if (i % 200 === 199) await once(socket, 'connect');
  }
  const times: number[] = [];
  for (let i = 0; i < 20; i++) {
    const startMs = performance.now();
    assert.equal(await ask(port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), 'HTTP/1.1 200 OK');
    times.push(performance.now() - startMs);
  }
  times.sort((a, b) => a - b);
  assert.ok(times[10]! < 100, `half of the requests took ${times[10]} ms and more`);
  assert.ok((await metric('tailrace_dashboard_evicted_connections_total')) >= 400);
  assert.ok((await metric('tailrace_dashboard_connections')) <= 500);
  assert.equal(await metric('tailrace_dashboard_limit_connections'), 500);
});

test('bytes that are no request get 400, a head of 16 KiB fits, and a larger one gets 431 in JSON', async (t) => {
  const { port } = await serving(t);
  const fits = await fetch(`http://127.0.0.1:${port}/`, { headers: { cookie: 'x'.repeat(15_000) } });
  assert.equal(fits.status, 200);
  const large = await fetch(`http://127.0.0.1:${port}/`, { headers: { cookie: 'x'.repeat(17_000) } });
  assert.equal(large.status, 431);
  assert.equal(((await large.json()) as { error: { code: string } }).error.code, 'too_large');
  for (const bytes of ['nonsense\r\n\r\n', '\x16\x03\x01\x02\x00', '\0\0\0\r\n'])
    assert.match(await ask(port, bytes), /^HTTP\/1\.1 400 /);
});

test('a server answers on its port, a second one on the same port fails with its setting, and both stop', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tailrace-dashboard-'));
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>Tailrace</title>');
  const metrics = () => createMetrics({ service: 'dashboard', node: 'test', processMetrics: false });
  const dashboard = createDashboard({ config, logger: silentLogger, metrics: metrics(), folder });
  const { port } = await dashboard.start();
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`);
    assert.match(await response.text(), /Tailrace/);
    assert.match(response.headers.get('content-security-policy') ?? '', /ws:\/\/127\.0\.0\.1:8081/);
    const second = createDashboard({
      ...{ config: { ...config, port }, logger: silentLogger, metrics: metrics() },
      ...{ folder, portSetting: 'portBase' },
    });
    await assert.rejects(second.start(), { code: 'address_in_use', message: /portBase/ });
    await second.stop();
  } finally {
    await dashboard.drain();
    await dashboard.stop();
    await rm(folder, { recursive: true });
  }
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
});
