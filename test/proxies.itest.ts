import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { issueToken } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { freePort } from '@tailrace/testkit/free-port';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { type ServiceProcess, startService } from '@tailrace/testkit/process';
import { connectRaw, readResponse } from '@tailrace/testkit/raw-socket';
import { connectRawWebSocket } from '@tailrace/testkit/raw-websocket';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { freePortBase } from './ports.ts';
import { startProxyProcess } from './proxy-process.ts';

/**
 * nginx and HAProxy in front of an installation, with their defaults and with the settings of deploy/proxies.
 */
const root = join(import.meta.dirname, '..');
const run = promisify(execFile);
const dir = await createTempDir('proxies');
failOnLeaks();
let base: number;
let tailrace: ServiceProcess;
let token: string;

before(async () => {
  base = await freePortBase();
  const data = join(dir.path, 'data');
  tailrace = await startService({
    args: [join(root, 'services/standalone/src/main.ts')],
    env: {
      TAILRACE_DATA_DIR: data,
      TAILRACE_PORT_BASE: String(base),
      TAILRACE_PLANT: 'false',
      TAILRACE_HOUSE: 'false',
      TAILRACE_HOST_READINGS: 'false',
      TAILRACE_LOG_LEVEL: 'warn',
    },
    ready: { line: /Tailrace is running/ },
    deadlineMs: 60_000,
  });
  const secret = (await readFile(join(data, 'key'), 'utf8')).trim();
  // A large token: with a hundred patterns.
  const subscribe = ['>', ...Array.from({ length: 100 }, (_, i) => `plant1.hall${i}.line${i}.machines.>`)];
  token = await issueToken({ secret, subject: 's', publish: ['>'], subscribe, expiresInMs: 3_600_000 });
});
after(async () => {
  await tailrace.stop();
  await dir.remove();
});

/** A configuration of deploy/proxies with the ports of this run. */
async function proxyConfig(name: string, port: number): Promise<string> {
  const config = await readFile(join(root, 'deploy/proxies', name), 'utf8');
  return config
    .replaceAll('127.0.0.1:8082', `127.0.0.1:${base + 2}`)
    .replaceAll('127.0.0.1:8081', `127.0.0.1:${base + 1}`)
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${base}`)
    .replaceAll('127.0.0.1:8000', `127.0.0.1:${port}`);
}

/** Starts a proxy in a folder of its own, which is returned, and waits until it forwards a request. */
async function startProxy(t: TestContext, name: 'nginx' | 'haproxy', config: (folder: string) => string, port: number) {
  const folder = join(dir.path, `${name}-${port}`);
  const ready = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/ingest`, { headers: { connection: 'close' } });
    assert.equal(answer.status, 405);
  };
  await startProxyProcess(t, { name, folder, config: config(folder), ready });
  return folder;
}

async function publish(port: number, device: string, init: RequestInit = {}): Promise<Response> {
  const body = JSON.stringify({ device, time: Date.now(), readings: [{ tag: 't', value: 1 }] });
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return await fetch(`http://127.0.0.1:${port}/v1/ingest`, { method: 'POST', body, headers, ...init });
}

/** Asserts that a reading passes the proxy twice: to ingest, and to a client of the streams. */
async function assertCarries(port: number, device: string): Promise<void> {
  const ws = await connectRawWebSocket({
    port,
    path: `/v1/stream?channel=${device}`,
    headers: { Authorization: `Bearer ${token}`, Cookie: `c=${'x'.repeat(5_000)}` },
  });
  assert.ok('welcome' in ((await ws.nextJson()) as object));
  assert.ok('subscribed' in ((await ws.nextJson()) as object));
  assert.equal((await publish(port, device)).status, 202);
  const { data } = (await ws.nextJson()) as { data: { reports: { device: string }[] } };
  assert.equal(data.reports[0]?.device, device);
  ws.close();
  await ws.closed;
  await assertCarriesDevice(port, device);
  assert.match(
    await (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).text(),
    /Tailrace/,
  );
}

/** Asserts that a session of a device passes the proxy. */
async function assertCarriesDevice(port: number, device: string): Promise<void> {
  const ws = await connectRawWebSocket({ port, path: '/v1/device' });
  const { payload } = (await ws.nextJson()) as { payload: { challenge: string } };
  ws.sendText(JSON.stringify({ type: 'auth', payload: { device, token, challenge: payload.challenge } }));
  assert.equal(((await ws.nextJson()) as { type: string }).type, 'welcome');
  const readings = [{ tag: 't', value: 1 }];
  ws.sendText(JSON.stringify({ type: 'status', msgid: 'a1', payload: { readings } }));
  assert.deepEqual(await ws.nextJson(), { type: 'ack', msgid: 'a1', payload: { status: 'accepted' } });
  ws.close();
  await ws.closed;
}

test('a bare proxy_pass of nginx (HTTP/1.0, a connection for each request) reaches ingest and the dashboard', async (t) => {
  const port = await freePort();
  const bare = `events {}\nhttp {\naccess_log off;\nserver {\nlisten 127.0.0.1:${port};
    location /v1/ { proxy_pass http://127.0.0.1:${base + 2}; }
    location / { proxy_pass http://127.0.0.1:${base}; }\n}\n}\n`;
  await startProxy(t, 'nginx', () => bare, port);
  for (let i = 0; i < 3; i++) assert.equal((await publish(port, 'plant1.bare')).status, 202);
  const page = await fetch(`http://127.0.0.1:${port}/healthz`, { headers: { connection: 'close' } });
  assert.equal(page.status, 200);
});

test('nginx with the settings of deploy/proxies carries readings, large tokens and WebSockets', async (t) => {
  const port = await freePort();
  const config = await proxyConfig('nginx.conf', port);
  await startProxy(t, 'nginx', () => config, port);
  await assertCarries(port, 'plant1.nginx');
  // A body that ingest refuses is refused by ingest, not by nginx.
  const large = await publish(port, 'plant1.nginx', { body: ' '.repeat(1_500_000) });
  assert.equal(((await large.json()) as { error: { code: string } }).error.code, 'too_large');
});

test('HAProxy with the settings of deploy/proxies finds all parts healthy, and carries readings and WebSockets', async (t) => {
  const port = await freePort();
  const config = await proxyConfig('haproxy.cfg', port);
  const folder = await startProxy(
    t,
    'haproxy',
    (place) => config.replace('maxconn 9000', `maxconn 900\n    stats socket ${place}/stats`),
    port,
  );
  const states = async () => {
    const socket = connect(join(folder, 'stats'));
    socket.write('show stat\n');
    const rows = (await text(socket)).split('\n').map((line) => line.split(','));
    return Object.fromEntries(rows.filter(([, name]) => /-0$/.test(name ?? '')).map((row) => [row[1], row[17]]));
  };
  await eventually(
    async () => assert.deepEqual(await states(), { 'ingest-0': 'UP', 'fanout-0': 'UP', 'dashboard-0': 'UP' }),
    { deadlineMs: 10_000, pollMs: 100 },
  );
  await assertCarries(port, 'plant1.haproxy');
});

test('the default health checks of cloud load balancers get 200 on every public port', async () => {
  // AWS: GET / and GCE: GET /, with their user agents; both take 200.
  for (const port of [base, base + 1, base + 2]) {
    for (const agent of ['ELB-HealthChecker/2.0', 'GoogleHC/1.0']) {
      const socket = await connectRaw({ port });
      socket.write(`GET / HTTP/1.1\r\nHost: 10.0.0.1:${port}\r\nUser-Agent: ${agent}\r\nConnection: close\r\n\r\n`);
      assert.equal((await readResponse(socket)).status, 200, `${agent} on ${port}`);
      socket.close();
    }
  }
  const { stdout } = await run('curl', ['-s', '--http1.0', `http://127.0.0.1:${base + 2}/healthz`]);
  assert.equal(stdout, '{"status":"ok"}');
});
