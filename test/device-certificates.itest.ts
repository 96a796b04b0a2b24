import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, type TestContext, test } from 'node:test';
import { issueToken } from '@tailrace/platform/token';
import { type Authority, createAuthority, type Identity } from '@tailrace/testkit/certificates';
import { freePort } from '@tailrace/testkit/free-port';
import { type ServiceProcess, startService } from '@tailrace/testkit/process';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { startProxyProcess } from './proxy-process.ts';

/** nginx and HAProxy with the settings of deploy/proxies verify certificates of devices, and ingest maps them. */
const root = join(import.meta.dirname, '..');
const secret = 'a secret of the tests, long enough for HS256';
const dir = await createTempDir('device-certificates');
let authority: Authority;
let server: Identity;
let ingest: ServiceProcess;
let ingestPort: number;

before(async () => {
  authority = await createAuthority(dir.path, 'devices');
  server = await authority.issue('localhost');
  ingestPort = await freePort();
  ingest = await startService({
    args: [join(root, 'services/ingest/src/main.ts')],
    env: {
      TAILRACE_EVENT_LOG: 'embedded',
      TAILRACE_DATA_PATH: join(dir.path, 'log'),
      TAILRACE_HOST: '127.0.0.1',
      TAILRACE_PORT: String(ingestPort),
      TAILRACE_INTERNAL_PORT: '0',
      TAILRACE_TOKEN_SECRET: secret,
      TAILRACE_TRUSTED_PROXIES: '127.0.0.1',
      TAILRACE_CLIENT_CERTIFICATE_HEADER: 'x-forwarded-client-cert',
      TAILRACE_CERTIFICATE_RULES: '[{"field":"CN","pattern":"press(\\\\d+)","device":"plant1.press$1"}]',
    },
    ready: { line: /accepting reports/ },
  });
});
after(async () => {
  await ingest.stop();
  await dir.remove();
});

interface Client extends Partial<Identity> {
  readonly headers?: Readonly<Record<string, string>>;
}

/** Sends a report through the proxy. Rejects if the proxy closes the connection. */
async function send(port: number, device: string, { certFile, keyFile, headers }: Client = {}): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const identity =
    certFile === undefined ? {} : { cert: await readFile(certFile), key: await readFile(keyFile ?? certFile) };
  const request = httpsRequest(
    {
      port,
      host: '127.0.0.1',
      path: '/v1/ingest',
      method: 'POST',
      ca: await readFile(authority.caFile),
      agent: false,
      ...identity,
      headers: { 'content-type': 'application/json', ...headers },
    },
    (response) => void text(response).then(() => resolve(response.statusCode!), reject),
  );
  request.on('error', reject);
  request.end(JSON.stringify({ device, readings: [{ tag: 't', value: 1 }] }));
  return await promise;
}

async function startProxy(t: TestContext, name: 'nginx' | 'haproxy', file: string): Promise<number> {
  const port = await freePort();
  const config = (await readFile(join(root, 'deploy/proxies', file), 'utf8'))
    .replaceAll('127.0.0.1:8443', `127.0.0.1:${port}`)
    .replaceAll('127.0.0.1:8082', `127.0.0.1:${ingestPort}`)
    .replace('maxconn 9000', 'maxconn 900')
    .replaceAll('/etc/tailrace/server.crt', server.certFile)
    .replaceAll('/etc/tailrace/server.key', server.keyFile)
    .replaceAll('/etc/tailrace/server.pem', server.bothFile)
    .replaceAll('/etc/tailrace/device-ca.crt', authority.caFile);
  const ready = async () => assert.equal(await send(port, 'plant1.a'), 401);
  await startProxyProcess(t, { name, folder: join(dir.path, name), config, ready });
  return port;
}

for (const [name, file] of [
  ['nginx', 'nginx-mtls.conf'],
  ['haproxy', 'haproxy-mtls.cfg'],
] as const) {
  test(`behind ${name}, a device sends by its certificate for its own path, and cannot forge the header`, async (t) => {
    const port = await startProxy(t, name, file);
    const press = await authority.issue(`press7`);
    assert.equal(await send(port, 'plant1.press7', press), 202);
    assert.equal(await send(port, 'plant1.press8', press), 403, 'another device');

    const token = await issueToken({ secret, subject: 's', publish: ['>'], subscribe: [], expiresInMs: 3_600_000 });
    const authorization = `Bearer ${token}`;
    assert.equal(await send(port, 'plant1.any', { headers: { authorization } }), 202, 'a token without a certificate');

    const forged = { 'x-forwarded-client-cert': encodeURIComponent(await readFile(press.certFile, 'utf8')) };
    assert.equal(await send(port, 'plant1.press7', { headers: forged }), 401, 'a forged header');
    const other = await authority.issue('press8');
    assert.equal(await send(port, 'plant1.press7', { ...other, headers: forged }), 403, 'beside a certificate');

    const foreign = await (await createAuthority(dir.path, `foreign-${name}`)).issue('press7');
    const outcome = await send(port, 'plant1.press7', foreign).catch(() => 'closed');
    assert.equal(outcome, name === 'nginx' ? 400 : 'closed', 'of another authority');
  });
}
