import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '@tailrace/platform/log';
import { createDashboard } from '../app.ts';

const config = { host: '127.0.0.1', port: 0, streamUrl: '', publicIngestUrl: '', demoToken: '' };

test('a server answers on its port, a second one on the same port says so, and both stop', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tailrace-dashboard-'));
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>Tailrace</title>');
  const dashboard = createDashboard({ config, log: silentLog, folder });
  const { port } = await dashboard.start();
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`);
    assert.match(await response.text(), /Tailrace/);
    assert.match(response.headers.get('content-security-policy') ?? '', /ws:\/\/127\.0\.0\.1:8081/);
    const second = createDashboard({ config: { ...config, port }, log: silentLog, folder, portSetting: 'portBase' });
    await assert.rejects(second.start(), { code: 'address_in_use', message: /portBase/ });
    await second.stop();
  } finally {
    await dashboard.drain();
    await dashboard.stop();
    await rm(folder, { recursive: true });
  }
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
});
