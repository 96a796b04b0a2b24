import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { ControlTopic } from '@tailrace/eventlog/control-topic';
import { encodePacket } from '@tailrace/mqtt/codec';
import { systemClock } from '@tailrace/platform/clock';
import { createLogger, silentLogger } from '@tailrace/platform/logger';
import { handshakesMax, tlsFilesCheckMs } from '@tailrace/platform/tls-listener';
import { type Authority, createAuthority, type Identity } from '@tailrace/testkit/certificates';
import { eventually } from '@tailrace/testkit/eventually';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { WebSocket } from 'ws';
import type { ServerMessage } from './device-fixture.ts';
import { type FixtureOptions, startIngest } from './ingest-fixture.ts';

failOnLeaks();
const dir = await createTempDir('certificates');
let authority: Authority;
let server: Identity;
let press: Identity;
before(async () => {
  authority = await createAuthority(dir.path, 'plant');
  server = await authority.issue('localhost');
  press = await authority.issue('press7');
});
after(() => dir.remove());

const rules = JSON.stringify([
  { field: 'CN', pattern: 'press(\\d+)', device: 'plant1.line3.press$1' },
  { field: 'CN', pattern: 'gateway-(\\w+)', device: 'plant1.$1', gateway: true },
  { field: 'SAN:URI', pattern: 'urn:device:(.+)', device: '$1' },
]);

interface Client extends Partial<Identity> {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: RequestOptions['agent'];
}

/** A CONNECT of MQTT 3.1.1, without a password. */
function connectPacket(device: string): Uint8Array {
  const username = `plant1.line3.${device}`;
  return encodePacket(
    { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clientId: device, clean: true, keepalive: 30, username },
    4,
  );
}

/** Starts ingest with a port with TLS, and returns how a device sends to it. */
async function startWithTls(t: TestContext, options: FixtureOptions = {}) {
  const settings = {
    tlsPort: 0,
    tlsCertFile: server.certFile,
    tlsKeyFile: server.keyFile,
    tlsClientCaFile: authority.caFile,
    certificateRules: rules,
    ...options.settings,
  };
  const serving = await startIngest(t, { ...options, settings });
  const ca = await readFile(authority.caFile);
  const send = async (device: string, { certFile, keyFile, token, headers, agent }: Client = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
    const request = httpsRequest(
      {
        port: serving.ingest.tlsPort,
        host: '127.0.0.1',
        path: '/v1/ingest',
        method: 'POST',
        ca,
        agent: agent ?? false,
        ...(certFile === undefined ? {} : { cert: await readFile(certFile), key: await readFile(keyFile!) }),
        headers: {
          'content-type': 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
      },
      (response) => {
        text(response).then((body) => resolve({ status: response.statusCode!, body }), reject);
      },
    );
    request.on('error', reject);
    request.end(JSON.stringify({ device, readings: [{ tag: 't', value: 1 }] }));
    return await promise;
  };
  return { ...serving, send };
}

test('a device with a certificate sends without a token, for the device that a rule maps it to, and no other', async (t) => {
  const { send, logged, metric } = await startWithTls(t);
  assert.equal((await send('plant1.line3.press7', press)).status, 202);
  const other = await send('plant1.line3.press8', press);
  assert.equal(other.status, 403, other.body);
  const gateway = await authority.issue('gateway-line4');
  assert.equal((await send('plant1.line4.any.device', gateway)).status, 202);
  const named = await authority.issue('named', { names: 'URI:urn:device:plant2.press1,DNS:other' });
  assert.equal((await send('plant2.press1', named)).status, 202);
  assert.equal((await logged()).length, 3);
  assert.equal(await metric('tailrace_ingest_verifications_total{kind="certificate",outcome="ok"}'), 4);
});

test('a certificate that is expired, of another authority, or of no rule is refused with the reason; a token is accepted beside it', async (t) => {
  const { send, token } = await startWithTls(t);
  const foreign = await (await createAuthority(dir.path, 'another')).issue('press7');
  const cases: readonly (readonly [Identity, RegExp])[] = [
    [await authority.issue('press9', { days: -1 }), /certificate of "press9" is not valid: CERT_HAS_EXPIRED/],
    [foreign, /certificate of "press7" is not valid: (UNABLE_TO|DEPTH_ZERO|SELF_SIGNED)/],
    [
      await authority.issue('other-press7x'),
      /no rule of certificateRules matches the client certificate of "other-press7x"/,
    ],
    [
      await authority.issue('pathless', { names: 'URI:urn:device:a..b' }),
      /rule 3 of certificateRules: expected a device path of the SAN:URI "urn:device:a..b", got "a..b"/,
    ],
  ];
  for (const [identity, message] of cases) {
    const refused = await send('plant1.line3.press7', identity);
    assert.equal(refused.status, 401, refused.body);
    assert.match((JSON.parse(refused.body) as { error: { message: string } }).error.message, message);
    assert.equal((await send('plant1.a', { ...identity, token })).status, 202);
  }
  assert.equal((await send('plant1.a', { token })).status, 202, 'without a certificate');
  const none = await send('plant1.a');
  assert.match(none.body, /expected the header \\"Authorization: Bearer <token>\\", got none/);
});

test('a page of an origin that is not allowed cannot use the certificate of the browser', async (t) => {
  const { send } = await startWithTls(t, { settings: { allowedOrigins: ['https://plant.example'] } });
  const from = (origin: string) => send('plant1.line3.press7', { ...press, headers: { origin } });
  assert.equal((await from('https://evil.example')).status, 401);
  assert.equal((await from('null')).status, 401);
  assert.equal((await from('https://plant.example')).status, 202);
  const open = await startWithTls(t, { settings: { allowedOrigins: ['*'] } });
  const anywhere = { ...press, headers: { origin: 'https://evil.example' } };
  assert.equal((await open.send('plant1.line3.press7', anywhere)).status, 401);
});

test('a device with a certificate has a session without a token, for its device; a page only if its origin is listed by name', async (t) => {
  /** Resolves with `welcome`, or the code with which the connection closes. */
  const login = async (port: number, device: string, { certFile, keyFile, headers = {} }: Client = {}) => {
    const identity = certFile === undefined ? {} : { cert: await readFile(certFile), key: await readFile(keyFile!) };
    const socket = new WebSocket(`wss://localhost:${port}/v1/device`, {
      ...{ ca: await readFile(authority.caFile), headers, ...identity },
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    socket.on('message', (data) => {
      const { type, payload } = JSON.parse(data.toString()) as ServerMessage;
      const { challenge } = payload;
      if (type === 'hello') socket.send(JSON.stringify({ type: 'auth', payload: { device, challenge } }));
      else if (type === 'welcome') resolve(type);
    });
    socket.on('error', (error) => resolve(error.message));
    socket.on('close', (code) => resolve(`${code}`));
    const outcome = await promise;
    const closed = new Promise((done) => socket.once('close', done));
    if (socket.readyState === WebSocket.OPEN) {
      socket.close();
      await closed;
    }
    return outcome;
  };
  const device = 'plant1.line3.press7';
  const page = 'https://plant.example';
  const { ingest, metric } = await startWithTls(t, { settings: { allowedOrigins: ['*', page] } });
  const { tlsPort } = ingest;
  assert.equal(await login(tlsPort, device, press), 'welcome');
  assert.equal(await login(tlsPort, 'plant1.line3.press8', press), '4403');
  assert.equal(await login(tlsPort, device), '4401');
  assert.equal(await login(tlsPort, device, { ...press, headers: { origin: page } }), 'welcome');
  assert.equal(await login(tlsPort, device, { ...press, headers: { origin: 'https://evil.example' } }), '4401');
  assert.equal(await metric('tailrace_ingest_verifications_total{kind="certificate",outcome="ok"}'), 3);
});

test('a revoked certificate is refused on its open connection', async (t) => {
  const { send, eventLog } = await startWithTls(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  assert.equal((await send('plant1.line3.press7', { ...press, agent })).status, 202);
  const { fingerprint256 } = new X509Certificate(await readFile(press.certFile));
  const control = new ControlTopic({
    eventLog,
    topicPrefix: 'tailrace',
    clock: systemClock,
    logger: silentLogger,
    onCredentials() {},
    onRevocations() {},
  });
  await control.revoke({ tokenId: `x5t/${fingerprint256.replaceAll(':', '').toLowerCase()}` });
  control.stop();
  await eventually(
    async () => {
      const { status, body } = await send('plant1.line3.press7', { ...press, agent });
      assert.equal(status, 401);
      assert.match(body, /the client certificate of \\"cert\/plant1.line3.press7\\" was revoked/);
    },
    { deadlineMs: 2_000 },
  );
});

test('a renewed certificate is used for new connections without a restart, and an invalid file leaves the former one in use', async (t) => {
  const clock = createFakeClock({ nowMs: Date.now() });
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ level: 'info', service: 'ingest', destination });
  const certFile = join(dir.path, 'served.crt');
  const keyFile = join(dir.path, 'served.key');
  const use = async (identity: Identity) => {
    await copyFile(identity.keyFile, keyFile);
    await copyFile(identity.certFile, certFile);
  };
  await use(server);
  const settings = { tlsCertFile: certFile, tlsKeyFile: keyFile };
  const { ingest, metric } = await startWithTls(t, { clock, logger, settings });
  const served = async () => {
    const socket = connectTls({ port: ingest.tlsPort, host: '127.0.0.1', rejectUnauthorized: false });
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    socket.once('secureConnect', () => resolve(socket.getPeerX509Certificate()!.fingerprint256)).once('error', reject);
    const fingerprint = await promise.finally(() => socket.destroy());
    return fingerprint;
  };
  const fingerprintOf = async (identity: Identity) =>
    new X509Certificate(await readFile(identity.certFile)).fingerprint256;
  assert.equal(await served(), await fingerprintOf(server));

  const renewed = await authority.issue('renewed', { days: 1 });
  await use(renewed);
  assert.equal(await served(), await fingerprintOf(server), 'not read yet');
  await clock.advance(tlsFilesCheckMs);
  assert.equal(await served(), await fingerprintOf(renewed));
  const expiry = Date.parse(new X509Certificate(await readFile(renewed.certFile)).validTo) / 1_000;
  assert.equal(await metric('tailrace_ingest_tls_certificate_expiry_timestamp_seconds'), expiry);

  await writeFile(keyFile, 'no key');
  for (let checks = 0; checks < 3; checks++) await clock.advance(tlsFilesCheckMs);
  assert.equal(await served(), await fingerprintOf(renewed));
  assert.equal(await metric('tailrace_ingest_failed_tls_reads_total'), 3);
  assert.equal(lines.filter((line) => line.includes('cannot use the changed TLS files')).length, 1);
});

test('a certificate that its authority has revoked is refused at the handshake: HTTP, WebSocket and MQTT, also with a token or a resumed session', async (t) => {
  const clock = createFakeClock({ nowMs: Date.now() });
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ level: 'info', service: 'ingest', destination });
  const crlFile = join(dir.path, 'served.crl');
  const revoke = async (...revoked: Parameters<Authority['revoke']>) =>
    copyFile(await authority.revoke(...revoked), crlFile);
  await revoke([]);
  const settings = { tlsClientCrlFile: crlFile, mqttEnabled: true, mqttPlain: false, mqttTlsPort: 0 };
  const { send, ingest, mqttTlsPort, metric, token } = await startWithTls(t, { clock, logger, settings });
  const { tlsPort } = ingest;
  const device = 'plant1.line3.press7';
  const lost = await authority.issue('press77');
  const identity = async ({ certFile, keyFile }: Identity) => ({
    ...{ ca: await readFile(authority.caFile), cert: await readFile(certFile), key: await readFile(keyFile) },
  });
  /** Resolves with the answer to CONNECT over MQTT, or `closed`; with a session of TLS for the next connection. */
  const connectMqtt = async (of: Identity, name: string, session?: Buffer) => {
    const socket = connectTls({
      ...{ port: mqttTlsPort, host: '127.0.0.1', ALPNProtocols: ['mqtt'], ...(await identity(of)), session },
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    let ticket: Buffer | undefined;
    let isResumed = false;
    socket.once('secureConnect', () => {
      isResumed = socket.isSessionReused();
    });
    socket.on('session', (issued) => {
      ticket = issued;
    });
    socket.on('error', () => {});
    socket.once('data', (bytes) => resolve(bytes[0] === 0x20 ? `connack ${bytes[3]}` : 'other'));
    socket.once('close', () => resolve('closed'));
    socket.write(connectPacket(name));
    const answer = await promise;
    socket.destroy();
    return { answer, ticket, isResumed };
  };
  const webSocketGreets = async (of: Identity) => {
    const socket = new WebSocket(`wss://localhost:${tlsPort}/v1/device`, await identity(of));
    const { promise, resolve } = Promise.withResolvers<boolean>();
    socket.on('message', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    return await promise.finally(() => socket.terminate());
  };
  const revokedIs = (count: number) => async () =>
    assert.equal(await metric('tailrace_ingest_revoked_client_certificates_total'), count);

  assert.equal((await send(device, press)).status, 202);
  assert.equal((await send('plant1.line3.press77', lost)).status, 202);
  assert.equal(await webSocketGreets(lost), true);
  const before = await connectMqtt(lost, 'press77');
  assert.equal(before.answer, 'connack 0');
  assert.ok(before.ticket, 'a session that can be resumed');
  const again = await connectMqtt(lost, 'press77', before.ticket);
  assert.equal(again.isResumed, true);

  await revoke([lost]);
  await clock.advance(tlsFilesCheckMs);
  await assert.rejects(send('plant1.line3.press77', lost), /ECONNRESET|EPIPE|socket hang up|disconnected/);
  await assert.rejects(send('plant1.a', { ...lost, token }), /ECONNRESET|EPIPE|socket hang up|disconnected/);
  assert.equal(await webSocketGreets(lost), false);
  assert.equal((await connectMqtt(lost, 'press77')).answer, 'closed');
  const resumed = await connectMqtt(lost, 'press77', again.ticket ?? before.ticket);
  assert.deepEqual([resumed.answer, resumed.isResumed], ['closed', false]);
  await eventually(revokedIs(5), { deadlineMs: 10_000 });
  const refusals = lines.filter((line) => line.includes('a revoked certificate'));
  assert.equal(refusals.length, 2, 'one of each port');
  assert.match(refusals[0]!, /CN=press77/);

  // Others are served: the device beside it, a token, and both after the list has expired.
  assert.equal((await send(device, press)).status, 202);
  assert.equal((await connectMqtt(press, 'press7')).answer, 'connack 0');
  assert.equal((await send('plant1.a', { token })).status, 202);
  const day = 86_400_000;
  const expiry = await metric('tailrace_ingest_tls_client_crl_expiry_timestamp_seconds');
  assert.ok(expiry! * 1_000 > Date.now() + day && expiry! * 1_000 < Date.now() + 3 * day, `${expiry}`);
  await revoke([lost], { isExpired: true });
  await clock.advance(tlsFilesCheckMs);
  const expired = await send(device, press);
  assert.equal(expired.status, 401);
  assert.match(expired.body, /certificate of \\"press7\\" is not valid: CRL_HAS_EXPIRED/);
  assert.equal((await send('plant1.a', { token })).status, 202);
  assert.ok(lines.some((line) => line.includes('a revocation list of tlsClientCrlFile is not valid now')));

  // A file that cannot be read leaves the former one in use; a valid one is used again.
  await writeFile(crlFile, 'no list');
  await clock.advance(tlsFilesCheckMs);
  assert.equal(await metric('tailrace_ingest_failed_tls_reads_total'), 2);
  assert.equal((await send(device, press)).status, 401);
  await revoke([press]);
  await clock.advance(tlsFilesCheckMs);
  await assert.rejects(send(device, press));
  assert.equal((await send('plant1.line3.press77', lost)).status, 202);
});

test('a certificate of an authority without a revocation list is not accepted while others have one', async (t) => {
  const other = await createAuthority(dir.path, 'listed');
  const { send, token } = await startWithTls(t, { settings: { tlsClientCrlFile: await other.revoke([]) } });
  const refused = await send('plant1.line3.press7', press);
  assert.equal(refused.status, 401);
  assert.match(refused.body, /is not valid: UNABLE_TO_GET_CRL/);
  assert.equal((await send('plant1.a', { token })).status, 202);
});

test('a certificate in a header is used if a trusted proxy has sent it, and ignored from any other peer', async (t) => {
  const pem = await readFile(press.certFile, 'utf8');
  const der = new X509Certificate(pem).raw.toString('base64');
  const forms = [
    encodeURIComponent(pem),
    der,
    `:${der}:`,
    `By=spiffe://a;Hash=00;Cert="${encodeURIComponent(await readFile(server.certFile, 'utf8'))}",By=b;Subject="CN=a,b;c";Cert="${encodeURIComponent(pem)}";URI=d`,
  ];
  const header = 'x-forwarded-client-cert';
  const common = { clientCertificateHeader: header, certificateRules: rules };
  const trusting = await startIngest(t, { settings: { ...common, trustedProxies: ['127.0.0.1'] } });
  const other = await startIngest(t, { settings: { ...common, trustedProxies: ['10.0.0.0/8'] } });
  const body = JSON.stringify({ device: 'plant1.line3.press7', readings: [{ tag: 't', value: 1 }] });
  const send = async ({ url }: { url: string }, value: string) => {
    const headers = { [header]: value, 'content-type': 'application/json' };
    const response = await fetch(`${url}/v1/ingest`, { method: 'POST', headers, body });
    return { status: response.status, body: await response.text() };
  };
  for (const form of forms) {
    assert.equal((await send(trusting, form)).status, 202, form);
    const ignored = await send(other, form);
    assert.equal(ignored.status, 401);
    assert.match(ignored.body, /expected the header \\"Authorization/);
  }
  const invalid = await send(trusting, 'no certificate');
  assert.equal(invalid.status, 401);
  assert.match(invalid.body, /header with the client's certificate: expected PEM in percent-encoding/);
  assert.equal((await send(trusting, '')).status, 401);
});

test('a trusted proxy that connects with a certificate of its own is no device', async (t) => {
  const settings = { clientCertificateHeader: 'x-forwarded-client-cert', trustedProxies: ['127.0.0.1'] };
  const { send } = await startWithTls(t, { settings });
  assert.equal((await send('plant1.line3.press7', press)).status, 401);
  const pem = encodeURIComponent(await readFile(press.certFile, 'utf8'));
  const proxy = await authority.issue('proxy');
  const forwarded = await send('plant1.line3.press7', { ...proxy, headers: { 'x-forwarded-client-cert': pem } });
  assert.equal(forwarded.status, 202, forwarded.body);
});

test('bytes that are no handshake, and connections that send none, cost others nothing', async (t) => {
  const { send, ingest, metric, metricIs, token } = await startWithTls(t);
  const closed: Promise<void>[] = [];
  const open = (bytes?: string) => {
    const socket = connectTcp({ port: ingest.tlsPort, host: '127.0.0.1' });
    if (bytes !== undefined) socket.write(bytes);
    socket.on('error', () => {});
    closed.push(new Promise((resolve) => void socket.once('close', () => resolve())));
    return socket;
  };
  open('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await metricIs('tailrace_ingest_failed_tls_handshakes_total', 1);
  const idle = Array.from({ length: handshakesMax + 50 }, () => open());
  await metricIs('tailrace_ingest_evicted_tls_handshakes_total', 50);
  assert.equal(await metric('tailrace_ingest_tls_handshakes'), handshakesMax);
  assert.equal((await send('plant1.a', { token })).status, 202);
  ingest.stop();
  for (const socket of idle) socket.destroy();
  await Promise.all(closed);
});

test('a drain answers the request in progress on the port with TLS, and accepts no new connection there', async (t) => {
  const { send, ingest, hold, metricIs, token } = await startWithTls(t);
  const release = hold();
  const answer = send('plant1.a', { token });
  await metricIs('tailrace_ingest_in_flight_requests', 1);
  const drained = ingest.drain();
  await assert.rejects(send('plant1.a', { token }), /ECONNREFUSED|ECONNRESET/);
  release();
  assert.equal((await answer).status, 202);
  await drained;
});
