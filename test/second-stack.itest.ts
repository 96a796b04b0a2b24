import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { FolderLock } from '@tailrace/platform/folder-lock';
import { isTailraceError } from '@tailrace/protocol/error';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { StackCluster } from '../scripts/stack-cluster.ts';
import { StackService } from '../scripts/stack-service.ts';
import { freePortBase } from './ports.ts';

/** A second `make stack` beside one that runs. */
const options = { nodes: 1, keepsData: true, drainMs: 0, print: () => {} };
const is = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(isTailraceError(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

test("a second stack does not take the first one's /readyz for its own", async (t) => {
  const dir = await createTempDir('second-stack');
  t.after(() => dir.remove());
  const portBase = await freePortBase(1);
  // The internal port of the first fanout node of another stack.
  const first = createServer((_, response) => response.end('{"ready":true}'));
  t.after(() => first.close());
  first.listen(portBase + 20 + 1010, '127.0.0.1');
  await once(first, 'listening');

  const inUse = is('address_in_use', /^port \d+ on 127\.0\.0\.1 is in use .* set another PORT_BASE$/);
  const script = 'services/fanout/src/main.ts';
  const service = new StackService({ name: 'f', script, port: portBase + 20, settings: {}, data: dir.path });
  await assert.rejects(service.start(), inUse);
  const cluster = new StackCluster({ ...options, data: dir.path, portBase });
  await assert.rejects(cluster.start(), inUse);
  await cluster.stop();
  assert.deepEqual(await readdir(dir.path), [], 'it has changed nothing');
});

test('a second stack does not start without its port for MQTT', async (t) => {
  const dir = await createTempDir('second-stack');
  t.after(() => dir.remove());
  const portBase = await freePortBase(1);
  const first = createServer();
  t.after(() => first.close());
  first.listen(portBase + 4, '127.0.0.1');
  await once(first, 'listening');
  const ingestSettings = { TAILRACE_MQTT_ENABLED: 'true', TAILRACE_MQTT_PORT: String(portBase + 4) };
  const cluster = new StackCluster({ ...options, data: dir.path, portBase, ingestSettings });
  await assert.rejects(
    cluster.start(),
    is('address_in_use', new RegExp(`^port ${portBase + 4} on 127.0.0.1 is in use`)),
  );
  await cluster.stop();
  assert.deepEqual(await readdir(dir.path), [], 'it has changed nothing');
});

test('a second stack leaves the data folder of the first one alone', async (t) => {
  const dir = await createTempDir('second-stack');
  t.after(() => dir.remove());
  const lock = await FolderLock.acquire(dir.path, systemClock);
  t.after(() => lock.release());
  const before = await readdir(dir.path);

  const cluster = new StackCluster({ ...options, data: dir.path, portBase: await freePortBase(1) });
  await assert.rejects(cluster.start(), is('conflict', /^the data in .* is in use by this process/));
  await cluster.stop();
  assert.equal(cluster.holdsData, false);
  assert.deepEqual(await readdir(dir.path), before);
});
