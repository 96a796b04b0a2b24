import assert from 'node:assert/strict';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { configSchema } from '@tailrace/edge/config';
import { createIngestConnection, ingestProbe } from '@tailrace/edge/uplink/create-ingest-connection';
import type { IngestConnection, IngestState } from '@tailrace/edge/uplink/ingest-connection';
import { tlsFilesFrom } from '@tailrace/edge/uplink/tls-files';
import { systemClock } from '@tailrace/platform/clock';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { type Authority, createAuthority, type Identity } from '@tailrace/testkit/certificates';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { startIngest, tokenFor } from '../services/ingest/test/ingest-fixture.ts';

/** The connections of the gateway to ingest with TLS and a private authority. */
failOnLeaks();
const dir = await createTempDir('edge-tls');
let authority: Authority;
let server: Identity;
let client: Identity;
before(async () => {
  authority = await createAuthority(dir.path, 'plant');
  server = await authority.issue('localhost');
  client = await authority.issue('gateway-line1');
});
after(() => dir.remove());

const gateway = 'plant1.line1.edge1';
const rules = JSON.stringify([{ field: 'CN', pattern: 'gateway-(\\w+)', device: 'plant1.$1', gateway: true }]);

async function start(t: TestContext) {
  const ingest = await startIngest(t, {
    settings: {
      ...{ tlsPort: 0, tlsCertFile: server.certFile, tlsKeyFile: server.keyFile },
      ...{ tlsClientCaFile: authority.caFile, certificateRules: rules },
      ...{ mqttEnabled: true, mqttPlain: false, mqttTlsPort: 0 },
    },
  });
  const { tlsPort } = ingest.ingest;
  const urls = [
    `wss://localhost:${tlsPort}`,
    `https://127.0.0.1:${tlsPort}/v1/mqtt`,
    `mqtts://localhost:${ingest.mqttTlsPort}`,
  ];
  const connect = (url: string, token: string, files: readonly [ca: string, client?: Identity]) => {
    const [ingestCaFile, { certFile = '', keyFile = '' } = {}] = files;
    const tls = tlsFilesFrom({ ingestCaFile, ingestCertFile: certFile, ingestKeyFile: keyFile });
    const states: IngestState[] = [];
    const connection = createIngestConnection({
      ...{ url, tls, device: gateway, token, clock: systemClock, random: Math.random, onCommand: undefined },
      onState: (state) => states.push(state),
      onError() {},
    });
    t.after(() => connection.close());
    connection.start();
    return { connection, probe: ingestProbe(url, tls) };
  };
  return { ingest, urls, connect };
}

const stateIs = (connection: IngestConnection, name: IngestState['name']) =>
  eventually(() => assert.equal(connection.state.name, name), { deadlineMs: 10_000 });

const report = (n: number) =>
  encodeReport({
    device: 'plant1.line1.press1',
    time: 1_764_446_400_000,
    readings: [{ tag: 'n', value: n }],
    id: `r${n}`,
  });

test('a gateway connects to ingest with a certificate of a private authority by each protocol, and to no other one', async (t) => {
  const { ingest, urls, connect } = await start(t);
  const token = await tokenFor(['plant1.>']);
  const foreign = await createAuthority(dir.path, 'another');
  for (const [n, url] of urls.entries()) {
    const none = connect(url, token, ['']);
    await stateIs(none.connection, 'waiting');
    assert.equal(await none.probe(10_000), false, url);
    const other = connect(url, token, [foreign.caFile]);
    await stateIs(other.connection, 'waiting');
    assert.equal(await other.probe(10_000), false, url);
    const { connection, probe } = connect(url, token, [authority.caFile]);
    await stateIs(connection, 'live');
    assert.equal((await connection.batch(`b${n}`, [report(n)])).status, 'accepted');
    assert.equal(await probe(10_000), true, url);
    for (const each of [none.connection, other.connection, connection]) await each.close();
  }
  assert.deepEqual((await ingest.logged()).map(({ id }) => id).toSorted(), ['r0', 'r1', 'r2']);
});

test('a gateway with a client certificate needs no token, and one without either is refused', async (t) => {
  const { ingest, urls, connect } = await start(t);
  for (const [n, url] of urls.entries()) {
    const { connection } = connect(url, '', [authority.caFile, client]);
    await stateIs(connection, 'live');
    assert.equal((await connection.batch(`b${n}`, [report(n)])).status, 'accepted');
    await connection.close();
    const refused = connect(url, '', [authority.caFile]);
    await stateIs(refused.connection, 'stopped');
    await refused.connection.close();
  }
  assert.equal((await ingest.logged()).length, 3);
});

test('certificates are read again for each connection, and the former ones are used in the middle of a renewal', async () => {
  const [first, renewed] = [await authority.issue('first'), await authority.issue('renewed')];
  const [caFile, certFile, keyFile] = ['ca', 'cert', 'key'].map((name) => join(dir.path, `used-${name}`)) as [
    string,
    string,
    string,
  ];
  await copyFile(authority.caFile, caFile);
  await copyFile(first.certFile, certFile);
  await copyFile(first.keyFile, keyFile);
  const textOf = (file: string) => readFile(file, 'utf8');
  const files = tlsFilesFrom({ ingestCaFile: caFile, ingestCertFile: certFile, ingestKeyFile: keyFile })!;
  assert.equal(files.certificates().cert, await textOf(first.certFile));
  await copyFile(renewed.certFile, certFile);
  assert.equal(files.certificates().cert, await textOf(first.certFile), 'the key is that of the former one');
  await copyFile(renewed.keyFile, keyFile);
  assert.equal(files.certificates().cert, await textOf(renewed.certFile));
  await rm(keyFile);
  assert.equal(files.certificates().key, await textOf(renewed.keyFile));
  await writeFile(caFile, 'no certificate');
  assert.equal(files.certificates().ca, await textOf(authority.caFile));
  const broken = { ingestCaFile: caFile, ingestCertFile: '', ingestKeyFile: '' };
  assert.throws(() => tlsFilesFrom(broken), {
    code: 'invalid_config',
    message: /ingestCaFile .* holds no certificate/,
  });
  const missing = { ...broken, ingestCaFile: join(dir.path, 'none') };
  assert.throws(() => tlsFilesFrom(missing), { code: 'invalid_config', message: /ingestCaFile .* does not exist/ });
  assert.equal(tlsFilesFrom({ ...broken, ingestCaFile: '' }), undefined);
});

test('settings of certificates that would have no effect are refused', () => {
  const issues = (settings: object) =>
    configSchema
      .safeParse({ edgePath: gateway, ...settings })
      .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  const scheme = 'expected ingestUrl with https, wss or mqtts';
  assert.deepEqual(issues({ ingestUrl: 'mqtt://a', ingestCaFile: 'a' }), [`ingestCaFile: ${scheme}`]);
  assert.deepEqual(issues({ ingestUrl: 'ws://a', ingestCertFile: 'a', ingestKeyFile: 'b' }), [
    `ingestCertFile: ${scheme}`,
  ]);
  const together = ['ingestKeyFile: expected ingestCertFile and ingestKeyFile together'];
  assert.deepEqual(issues({ ingestUrl: 'wss://a', ingestCertFile: 'a' }), together);
  const all = { ingestCaFile: 'a', ingestCertFile: 'b', ingestKeyFile: 'c' };
  for (const ingestUrl of ['wss://a', 'https://a', 'mqtts://a']) assert.equal(issues({ ingestUrl, ...all }), undefined);
});
