import assert from 'node:assert/strict';
import { chmod, copyFile, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Authority, createAuthority, type Identity } from '@tailrace/testkit/certificates';
import { createTempDir, type TempDir } from '@tailrace/testkit/tempdir';
import { ServerTlsReader } from '../src/server-tls-reader.ts';
import { serverTlsTextsFrom, tlsTextsFrom } from '../src/tls-files.ts';

let dir: TempDir;
let authority: Authority;
let own: Identity;
before(async () => {
  dir = await createTempDir('tlsfiles');
  authority = await createAuthority(dir.path);
  own = await authority.issue('own');
});
after(() => dir.remove());

const none = { ca: '', cert: '', key: '' };
const paths = () => ({ ca: authority.caFile, cert: own.certFile, key: own.keyFile });
const refused = (wrong: Partial<typeof none>, pattern: RegExp, nowMs = Date.now()) =>
  assert.throws(
    () => tlsTextsFrom('kafkaTls', { ...paths(), ...wrong }, nowMs),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'invalid_config');
      assert.match(error.message, pattern);
      assert.doesNotMatch(error.message, /\n|PRIVATE KEY-----.*[A-Za-z0-9]{30}/);
      return true;
    },
  );

test('the texts of the files that are set', () => {
  const { ca, cert, key } = tlsTextsFrom('kafkaTls', paths(), Date.now());
  assert.match(`${ca}${cert}${key}`, /BEGIN CERTIFICATE.*BEGIN CERTIFICATE.*BEGIN PRIVATE KEY/s);
  assert.deepEqual(tlsTextsFrom('natsTls', none, Date.now()), { ca: undefined, cert: undefined, key: undefined });
});

test('a file that does not exist, is a folder, or has other content is named with its setting', async () => {
  const missing = join(dir.path, 'missing.pem');
  refused({ ca: missing }, /^kafkaTlsCaFile \(TAILRACE_KAFKA_TLS_CA_FILE\): ".*missing\.pem" does not exist; mount/);
  refused({ key: dir.path }, /^kafkaTlsKeyFile .* is a folder/);
  refused({ ca: own.keyFile }, /^kafkaTlsCaFile .* holds no certificate/);
  refused({ key: own.certFile }, /^kafkaTlsKeyFile .* holds no private key/);
  const empty = join(dir.path, 'empty.pem');
  await writeFile(empty, '');
  refused({ cert: empty }, /^kafkaTlsCertFile .* holds no certificate/);
});

test('a file without read permission is an error', async () => {
  const closed = join(dir.path, 'closed.pem');
  await copyFile(authority.caFile, closed);
  await chmod(closed, 0o000);
  // root may read every file.
  if (process.getuid?.() === 0) assert.ok(tlsTextsFrom('kafkaTls', { ...none, ca: closed }, Date.now()).ca);
  else refused({ ca: closed }, /^kafkaTlsCaFile .* may not be read by this user/);
});

test('a key of another certificate, and a certificate that has expired or is not valid yet, are refused', async () => {
  const other = await authority.issue('other');
  refused({ key: other.keyFile }, /^kafkaTlsKeyFile .* key of another certificate than .*own\.crt\.pem/);
  refused({}, /^kafkaTlsCertFile .* expired on .*; replace it with a renewed one/, Date.now() + 3 * 86_400_000);
  refused({}, /^kafkaTlsCertFile .* is valid from .*clock/, Date.now() - 3 * 86_400_000);
});

test('the revocation lists of a file are read one by one, with the period in which all are valid', async () => {
  const other = await createAuthority(dir.path, 'other-authority');
  const [first, second] = [await authority.revoke([own]), await other.revoke([], { isExpired: true })];
  const both = join(dir.path, 'both.crl.pem');
  await writeFile(both, `# of two authorities\n${await readFile(first, 'utf8')}\n${await readFile(second, 'utf8')}`);
  const files = { cert: own.certFile, key: own.keyFile, clientCa: authority.caFile };
  const now = Date.now();
  const one = serverTlsTextsFrom({ ...files, clientCrl: first }, now);
  assert.equal(one.context.crl?.length, 1);
  assert.ok(Math.abs(one.listed.from - now) < 60_000);
  assert.equal(one.listed.until, one.listed.from + 2 * 86_400_000);
  const two = serverTlsTextsFrom({ ...files, clientCrl: both }, now, one);
  assert.equal(two.context.crl?.length, 2);
  assert.equal(two.listed.from, one.listed.from);
  assert.equal(two.listed.until, Date.UTC(2020, 0, 1));
  assert.deepEqual(serverTlsTextsFrom({ ...files, clientCrl: '' }, now).context.crl, undefined);
  const broken = join(dir.path, 'broken.crl.pem');
  for (const [text, message] of [
    ['', /^tlsClientCrlFile \(TAILRACE_TLS_CLIENT_CRL_FILE\): .* holds no revocation list; expected a PEM file/],
    [(await readFile(first, 'utf8')).replace(/\n.{40}/, '\n'), /^tlsClientCrlFile .* a revocation list that cannot be/],
  ] as const) {
    await writeFile(broken, text);
    assert.throws(() => serverTlsTextsFrom({ ...files, clientCrl: broken }, now), { code: 'invalid_config', message });
  }
});

test('files of a port are read again after a change alone, also by ports that share the reader', async () => {
  const clientCrl = join(dir.path, 'used.crl.pem');
  await copyFile(await authority.revoke([own]), clientCrl);
  const reader = new ServerTlsReader({ cert: own.certFile, key: own.keyFile, clientCa: authority.caFile, clientCrl });
  // Later than the last change by more than the resolution of its time.
  const nowMs = Date.now() + 10_000;
  const first = reader.read(nowMs);
  for (let times = 0; times < 5; times++) assert.equal(reader.read(nowMs), first);
  assert.equal(reader.reads, 1);
  await utimes(clientCrl, new Date(), new Date(Date.now() - 1_000));
  const touched = reader.read(nowMs);
  assert.deepEqual([touched.context.crl, reader.reads], [first.context.crl, 2]);
  await writeFile(clientCrl, 'no list');
  for (const reads of [3, 4]) {
    assert.throws(() => reader.read(nowMs), { code: 'invalid_config' });
    assert.equal(reader.reads, reads, 'it may be written just now');
  }
  await copyFile(await authority.revoke([own]), clientCrl);
  const renewed = reader.read(nowMs);
  assert.equal(reader.read(nowMs), renewed);
  assert.equal(reader.reads, 5);
});

test('a file that has just changed is read at each check: it may change again within the resolution of its time', async () => {
  const clientCrl = await authority.revoke([own]);
  await utimes(clientCrl, new Date(), new Date());
  const reader = new ServerTlsReader({ cert: own.certFile, key: own.keyFile, clientCa: authority.caFile, clientCrl });
  for (const reads of [1, 2]) {
    reader.read(Date.now());
    assert.equal(reader.reads, reads);
  }
});
