import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import type { Endpoints } from '@tailrace/platform/endpoints';
import { eventually } from '@tailrace/testkit/eventually';
import { type Supervised, startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { freePortBase } from '../../../test/ports.ts';

/** Runs the load of devices by its command against a standalone server, and shows that it can fail. */
const root = resolve(import.meta.dirname, '../../..');
const dir = await createTempDir('load of devices');
let standalone: Supervised | undefined;
let endpoints: Endpoints;

before(async () => {
  const log = join(dir.path, 'log');
  const data = join(dir.path, 'data');
  standalone = await startSupervised({
    command: 'node',
    args: [join(root, 'services/standalone/src/main.ts')],
    cwd: root,
    env: {
      ...process.env,
      TAILRACE_DATA_DIR: data,
      TAILRACE_PORT_BASE: String(await freePortBase()),
      TAILRACE_PLANT: 'false',
      TAILRACE_HOUSE: 'false',
      TAILRACE_HOST_READINGS: 'false',
      TAILRACE_LOG_LEVEL: 'warn',
    },
    output: { file: log },
  });
  endpoints = await eventually(
    async () => {
      assert.equal(standalone!.exit(), undefined, await readFile(log, 'utf8'));
      return JSON.parse(await readFile(join(data, 'endpoints.json'), 'utf8')) as Endpoints;
    },
    { deadlineMs: 120_000, describe: 'standalone is ready' },
  );
});

after(async () => {
  await standalone?.stop({ deadlineMs: 20_000 });
  await dir.remove();
});

async function load(env: NodeJS.ProcessEnv): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(root, 'loadtest/k6/run.ts'), 'devices'], {
    env: {
      ...process.env,
      MQTT: endpoints.mqtt!.url,
      DEVICE: endpoints.device.url,
      TARGET: endpoints.fanout[0]!.url,
      TOKEN: endpoints.token,
      SLO_ACK_MS: '10000',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

for (const protocol of ['mqtt', 'websocket']) {
  test(`every report of 60 devices by ${protocol} in two processes is acknowledged, and delivered once`, async () => {
    const { code, output } = await load({
      ...{ PROTOCOL: protocol, DEVICES: '60', RATE: '600', DURATION: '1s', PROCESSES: '2', READINGS: '3' },
    });
    assert.equal(code, 0, output);
    for (const line of [/acknowledged +600$/m, /delivered +600$/m, /lost +0 +0 +met/, /doubled +0 +0 +met/])
      assert.match(output, line);
  });
}

test('reports whose connection is lost are sent again, and delivered once', async () => {
  const { port } = new URL(endpoints.mqtt!.url);
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const server = connect({ host: '127.0.0.1', port: Number(port) });
    let bytes = 0;
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.pipe(server);
    // It drops a connection with the acknowledgments that the client does not have.
    server.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > 400 && lost < 5) {
        lost++;
        client.destroy();
      } else client.write(chunk);
    });
  });
  let lost = 0;
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  try {
    const url = `mqtt://127.0.0.1:${(proxy.address() as { port: number }).port}`;
    const { code, output } = await load({ MQTT: url, DEVICES: '5', RATE: '500', DURATION: '1s' });
    assert.equal(code, 0, output);
    assert.match(output, /connections lost +5$/m);
    assert.match(output, /sent again +[1-9]\d*$/m);
    assert.match(output, /delivered +500$/m);
  } finally {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  }
});

test('a token that is refused stops the run, with an error that names the device', async () => {
  const { code, output } = await load({ TOKEN: 'none' });
  assert.equal(code, 1, output);
  assert.match(output, /devices cannot connect to .*loadtest\.run-/);
});
