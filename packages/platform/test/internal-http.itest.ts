import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createHealth } from '../src/health.ts';
import { createInternalHttp, internalPart, type MetricsPage } from '../src/internal-http.ts';
import { silentLogger } from '../src/logger.ts';
import { createMetrics } from '../src/metrics.ts';
import { createManualClock } from './manual-clock.ts';

async function serving(
  t: TestContext,
  metrics: MetricsPage = createMetrics({ service: 'ingest', node: 'n0', processMetrics: false }),
) {
  const clock = createManualClock();
  const health = createHealth({ clock });
  const http = createInternalHttp({ host: '127.0.0.1', port: 0, health, metrics, logger: silentLogger });
  const { port } = await http.start();
  t.after(() => http.stop());
  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return { clock, health, http, port, get };
}

test('/livez is 200 while the event loop runs, and 503 when it lags for long', async (t) => {
  const { clock, get } = await serving(t);
  assert.equal((await get('/livez')).status, 200);
  clock.block(60_000);
  const late = await get('/livez');
  assert.equal(late.status, 503);
  assert.equal(JSON.parse(late.text).alive, false);
});

test('/readyz is 200 when running, and 503 with the reason when a check fails or the service drains', async (t) => {
  const { health, get } = await serving(t);
  assert.equal((await get('/readyz')).status, 503);
  health.setState('running');
  assert.equal((await get('/readyz')).status, 200);
  const remove = health.check('log', () => 'no broker');
  const failing = await get('/readyz?verbose');
  assert.equal(failing.status, 503);
  assert.deepEqual(JSON.parse(failing.text), { ready: false, state: 'running', checks: { log: 'no broker' } });
  remove();
  health.setState('draining');
  assert.equal((await get('/readyz')).status, 503);
});

test('/metrics is the page', async (t) => {
  const metrics = createMetrics({ service: 'ingest', node: 'n0', processMetrics: false });
  metrics.counter('tailrace_ingest_x_reports_total', 'h').add(3);
  const { get } = await serving(t, metrics);
  const { status, headers, text } = await get('/metrics');
  assert.equal(status, 200);
  assert.match(headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  assert.match(text, /tailrace_ingest_x_reports_total\{.*\} 3/);
});

test('/metrics is OpenMetrics if that is preferred, with exemplars', async (t) => {
  const metrics = createMetrics({ service: 'ingest', node: 'n0', processMetrics: false });
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  metrics.histogram('tailrace_ingest_b_seconds', 'h', [1]).observe(7, `00-${trace}-00f067aa0ba902b7-01`);
  const { get } = await serving(t, metrics);
  // The header of Prometheus 2.
  const accept =
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
  const { headers, text } = await get('/metrics', { headers: { accept } });
  assert.match(headers.get('content-type') ?? '', /^application\/openmetrics-text; version=1\.0\.0/);
  assert.match(text, new RegExp(`le="\\+Inf".* 1 # \\{trace_id="${trace}",`));
  assert.doesNotMatch((await get('/metrics')).text, new RegExp(trace));
});

test('any other page is 404 with the list of pages, any other method 405', async (t) => {
  const { get } = await serving(t);
  const missing = await get('/nothing');
  assert.equal(missing.status, 404);
  assert.match(missing.text, /\/livez, \/readyz, \/metrics/);
  assert.equal((await get('/livez', { method: 'POST', body: 'x' })).status, 405);
  assert.equal((await get('/livez', { method: 'HEAD' })).text, '');
});

test('a page that fails is 500 without its reason, and the next one is served', async (t) => {
  const failing = { page: () => Promise.reject(new TailraceError('internal', 'inner secret')) };
  const { get } = await serving(t, failing);
  const { status, text } = await get('/metrics');
  assert.equal(status, 500);
  assert.doesNotMatch(text, /inner secret/);
  assert.equal((await get('/livez')).status, 200);
});

test('incomplete heads do not lock out a probe: it is accepted and served at once', async (t) => {
  const { port, get } = await serving(t);
  /** Returns the median duration of a probe, ms. */
  const probeMs = async () => {
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      const startMs = performance.now();
      // Like a kubelet, on a connection of its own.
      assert.equal((await get('/livez', { headers: { connection: 'close' } })).status, 200);
      times.push(performance.now() - startMs);
    }
    return times.sort((a, b) => a - b)[10]!;
  };
  const quietMs = await probeMs();
  // As many as there may be, and as many again.
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (let i = 0; i < 128; i++) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    sockets.push(socket);
    await once(socket, 'connect');
    socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n');
  }
  const ms = await probeMs();
  assert.ok(ms < 5 * quietMs + 50, `the median of the probes was ${ms} ms, and ${quietMs} ms before`);
});

test('the connections of the internal port and their limit are in the metrics', async (t) => {
  const health = createHealth({ clock: createManualClock() });
  const metrics = createMetrics({ service: 'ingest', node: 'n0', processMetrics: false });
  let port = 0;
  const info = (facts: object): void => {
    port = (facts as { port: number }).port;
  };
  const logger = { ...silentLogger, info };
  const part = internalPart({ host: '127.0.0.1', port: 0, health, metrics, logger });
  await part.start?.();
  t.after(() => part.stop?.());
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: 'close' } });
  const page = await response.text();
  assert.match(page, /^tailrace_ingest_internal_connections\{[^}]*\} 1$/m);
  assert.match(page, /^tailrace_ingest_limit_internal_connections\{[^}]*\} 64$/m);
  assert.match(page, /^tailrace_ingest_evicted_internal_connections_total\{[^}]*\} 0$/m);
});

test('a head that is not received in time closes its connection', async (t) => {
  const { port } = await serving(t);
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write('GET /livez HTTP/1.1\r\n');
  assert.match(await text(socket), /^HTTP\/1\.1 408 /);
});

test('a port in use is an error in one line with the setting to change', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  t.after(() => holder.close());
  const { port } = holder.address() as { port: number };
  const health = createHealth({ clock: createManualClock() });
  const metrics = createMetrics({ service: 'ingest', node: 'n0', processMetrics: false });
  const http = createInternalHttp({ host: '127.0.0.1', port, health, metrics, logger: silentLogger });
  await assert.rejects(http.start(), (error: TailraceError) => {
    assert.equal(error.code, 'address_in_use');
    assert.match(
      error.message,
      new RegExp(`^port ${port} on 127\\.0\\.0\\.1 is in use.*internalPort \\(TAILRACE_INTERNAL_PORT\\)`),
    );
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
  await http.stop();
});

test('a host that is not of this machine is an error', async () => {
  const health = createHealth({ clock: createManualClock() });
  const metrics = createMetrics({ service: 'ingest', node: 'n0', processMetrics: false });
  const http = createInternalHttp({ host: '203.0.113.1', port: 0, health, metrics, logger: silentLogger });
  await assert.rejects(http.start(), {
    code: 'invalid_config',
    message: /203\.0\.113\.1 is no address of this machine/,
  });
});

test('stop closes an idle connection, and may be called twice', async (t) => {
  const { http, get } = await serving(t);
  await get('/livez');
  await http.stop();
  await http.stop();
  await assert.rejects(get('/livez'));
});
