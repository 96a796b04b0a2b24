import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import type { Endpoints } from '@tailrace/platform/endpoints';
import { eventually } from '@tailrace/testkit/eventually';
import { startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { freePortBase } from './ports.ts';

const root = resolve(import.meta.dirname, '..');

test('without a store of control readings are accepted, and control follows when the store can be created', async (t) => {
  const dir = await createTempDir('standalone-store');
  t.after(() => dir.remove());
  const data = join(dir.path, 'data');
  const output = join(dir.path, 'standalone.log');
  await mkdir(data);
  // A file in the place of its folder.
  const obstacle = join(data, 'control');
  await writeFile(obstacle, '');
  const standalone = await startSupervised({
    command: 'node',
    args: [join(root, 'services/standalone/src/main.ts')],
    cwd: root,
    env: {
      ...process.env,
      TAILRACE_DATA_DIR: data,
      TAILRACE_PORT_BASE: String(await freePortBase(0)),
      TAILRACE_PLANT: 'false',
      TAILRACE_HOUSE: 'false',
      TAILRACE_HOST_READINGS: 'false',
      TAILRACE_LOG_LEVEL: 'warn',
    },
    output: { file: output },
  });
  t.after(() => standalone.stop({ deadlineMs: 20_000 }));
  const endpoints = await eventually(
    async () => {
      assert.equal(standalone.exit(), undefined, await readFile(output, 'utf8'));
      return JSON.parse(await readFile(join(data, 'endpoints.json'), 'utf8')) as Endpoints;
    },
    { deadlineMs: 60_000, describe: 'standalone is ready' },
  );
  const headers = { authorization: `Bearer ${endpoints.token}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ device: 'home.kitchen', readings: [{ tag: 'temperature', value: 21.5 }] });
  const answer = await fetch(`${endpoints.ingest[0]!.url}/v1/ingest`, { method: 'POST', headers, body });
  assert.equal(answer.status, 202, await answer.text());
  assert.match(await readFile(output, 'utf8'), /the store of control does not start/);

  await rm(obstacle);
  const rules = async () => (await fetch(`${endpoints.control!.url}/v1/rules`, { headers })).status;
  await eventually(async () => assert.equal(await rules(), 200), {
    deadlineMs: 60_000,
    pollMs: 100,
    describe: 'control takes requests',
  });
});
