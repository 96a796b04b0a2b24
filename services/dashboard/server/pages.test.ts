import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import type { FastifyInstance } from 'fastify';
import { createDashboard } from './app.ts';
import { createPages } from './pages.ts';

const config = {
  host: '127.0.0.1',
  port: 0,
  streamUrl: 'wss://streams.example.org/v1/stream',
  publicIngestUrl: 'https://ingest.example.org',
  controlUrl: 'https://control.example.org',
  demoToken: 'demo',
};
const metrics = () => createMetrics({ service: 'dashboard', node: 'test', processMetrics: false });
let folder: string;
let pages: FastifyInstance;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tailrace-dashboard-'));
  await mkdir(join(folder, 'assets'));
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>Tailrace</title>');
  await writeFile(join(folder, 'assets', 'index-abc123.js'), 'export {};');
  pages = createPages({ config, logger: silentLogger, metrics: metrics(), folder });
});

after(async () => {
  await pages.close();
  await rm(folder, { recursive: true });
});

test('the page is served, and revalidated each time', async () => {
  const { body, headers, statusCode } = await pages.inject('/');
  assert.equal(statusCode, 200);
  assert.match(body, /<title>Tailrace/);
  assert.equal(headers['cache-control'], 'no-cache');
  assert.match(String(headers['content-type']), /text\/html/);
});

test('a file with a hash in its name is cached for good', async () => {
  const { headers } = await pages.inject('/assets/index-abc123.js');
  assert.match(String(headers['cache-control']), /immutable/);
});

test('the configuration has the URLs of streams, and no cache keeps its token', async () => {
  const answer = await pages.inject('/config.json');
  assert.deepEqual(answer.json(), {
    ...{ streamUrl: config.streamUrl, ingestUrl: config.publicIngestUrl },
    ...{ controlUrl: config.controlUrl, token: 'demo' },
  });
  assert.equal(answer.headers['cache-control'], 'no-store');
});

test('every answer carries a policy that allows the streams, control, and nothing else', async () => {
  for (const path of ['/', '/config.json', '/assets/index-abc123.js', '/nothing']) {
    const { headers } = await pages.inject(path);
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /default-src 'none'/, path);
    assert.match(
      policy,
      /connect-src 'self' wss:\/\/streams\.example\.org https:\/\/streams\.example\.org https:\/\/control\.example\.org(?:;|$)/,
      path,
    );
    assert.doesNotMatch(policy, /unsafe/, path);
    assert.equal(headers['x-content-type-options'], 'nosniff');
  }
});

test('nothing outside the folder is served, and a missing file is an error', async () => {
  const outside = join(folder, '..', 'tailrace-outside.txt');
  await writeFile(outside, 'not for you');
  try {
    for (const path of [
      '/../tailrace-outside.txt',
      '/%2e%2e/tailrace-outside.txt',
      '/..%2ftailrace-outside.txt',
      '/assets/nothing.js',
      '/%00',
      '/%zz',
    ]) {
      const { statusCode, body } = await pages.inject(path);
      assert.ok(statusCode === 400 || statusCode === 403 || statusCode === 404, `${path} answers ${statusCode}`);
      assert.doesNotMatch(body, /not for you/);
    }
  } finally {
    await rm(outside);
  }
});

test('a page that was not built stops the start, and the error has the command that builds it', async () => {
  const missing = createDashboard({
    config: { ...config, host: '127.0.0.1', port: 0 },
    logger: silentLogger,
    metrics: metrics(),
    folder: join(folder, 'nothing'),
  });
  await assert.rejects(missing.start(), { code: 'not_found', message: /npm run build -w services\/dashboard/ });
  await missing.stop();
});

test('without a URL of the streams the page gets their port, and may connect to it', async (t) => {
  const ports = { ...config, streamUrl: '', publicIngestUrl: '', controlUrl: '', streamPort: 9081, ingestPort: 9082 };
  const other = createPages({ config: ports, logger: silentLogger, metrics: metrics(), folder });
  t.after(() => other.close());
  const answer = await other.inject({ url: '/config.json', headers: { host: 'plant.example:9080' } });
  assert.deepEqual(answer.json(), {
    ...{ streamUrl: '', streamPort: 9081, ingestUrl: '', ingestPort: 9082, controlUrl: '', token: 'demo' },
  });
  assert.match(String(answer.headers['content-security-policy']), /ws:\/\/plant\.example:9081/);
});
