import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { natsAccessFrom } from '@tailrace/platform/broker-access';
import type { NatsAccessSettings } from '@tailrace/platform/broker-settings';
import { systemClock } from '@tailrace/platform/clock';
import type { ErrorCode } from '@tailrace/protocol/error';
import { createAuthority } from '@tailrace/testkit/certificates';
import { createInbox } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { type NatsServer, startNats } from '@tailrace/testkit/nats';
import { createTempDir, type TempDir } from '@tailrace/testkit/tempdir';
import type { NatsBusOptions, NatsCredentials } from '../src/nats.ts';
import { bytes, failure, text } from './contract-bench.ts';
import { createNatsBench } from './nats-bench.ts';

failOnLeaks();

const password = (user: string, text = 'correct horse'): NatsCredentials => ({
  kind: 'password',
  user,
  password: text,
});

describe('authentication of the bus on NATS', () => {
  let dir: TempDir;
  let server: NatsServer | undefined;
  beforeEach(async () => {
    dir = await createTempDir('bus');
  });
  afterEach(async () => {
    await server?.stop();
    server = undefined;
    await dir.remove();
  });

  async function serverWith(settings: string): Promise<NatsServer> {
    const config = join(dir.path, 'nats.conf');
    await writeFile(config, settings);
    server = await startNats({ args: ['-c', config] });
    return server;
  }

  async function works(url: string, options: Partial<NatsBusOptions>): Promise<void> {
    const bench = createNatsBench(url);
    try {
      const { bus } = await bench.open(options);
      await bus.serve('works.a', (payload) => [payload]);
      assert.deepEqual((await bus.request('works.a', bytes('yes'), { deadlineMs: 5000 })).map(text), ['yes']);
    } finally {
      await bench.close();
    }
  }

  const refused = (url: string, options: Partial<NatsBusOptions> = {}) =>
    assert.rejects(createNatsBench(url).open(options), failure('unauthorized', /refuses these credentials.*check/));

  it('user and password, and none or wrong ones are refused', async () => {
    const { url } = await serverWith('authorization { user: node, password: "correct horse" }');
    await works(url, { credentials: password('node') });
    await refused(url);
    await refused(url, { credentials: password('node', 'wrong') });
  });

  it('a token', async () => {
    const { url } = await serverWith('authorization { token: s3cret }');
    await works(url, { credentials: { kind: 'token', token: 's3cret' } });
    await refused(url, { credentials: { kind: 'token', token: 'wrong' } });
  });

  it('an nkey, and a seed that does not parse is invalid_config', async () => {
    const { seed, publicKey } = createUserNkey();
    const { url } = await serverWith(`authorization { users: [ { nkey: ${publicKey} } ] }`);
    await works(url, { credentials: { kind: 'nkey', seed } });
    await refused(url, { credentials: { kind: 'nkey', seed: createUserNkey().seed } });
    const invalid = createNatsBench(url).open({ credentials: { kind: 'nkey', seed: 'SUNONSENSE' } });
    await assert.rejects(invalid, (error) => {
      failure('invalid_config', /nkey seed does not parse/)(error);
      assert.doesNotMatch((error as Error).message, /NONSENSE/);
      return true;
    });
  });

  it('a creds file that is missing or invalid is invalid_config, with its name', async () => {
    const { url } = await serverWith('');
    const file = join(dir.path, 'node.creds');
    const open = () => createNatsBench(url).open({ credentials: { kind: 'creds', file } });
    await assert.rejects(open(), failure('invalid_config', /cannot read.*ENOENT/));
    await writeFile(file, 'no creds');
    await assert.rejects(open(), failure('invalid_config', /creds file.*does not parse/));
    const { seed } = createUserNkey();
    const banner = (what: string, content: string) =>
      `-----BEGIN ${what}-----\n${content}\n------END ${what}------\n\n`;
    await writeFile(file, banner('NATS USER JWT', 'eyJ0.eyJq.c2ln') + banner('USER NKEY SEED', seed));
    // A server without operators accepts every user: the file has been parsed, and its key could sign.
    await works(url, { credentials: { kind: 'creds', file } });
  });

  describe('by the settings of a service', () => {
    const noAccess: NatsAccessSettings & { startDeadlineMs: number } = {
      natsServers: [],
      natsCredentialsFile: '',
      natsUsername: '',
      natsPassword: '',
      natsTls: false,
      natsTlsCaFile: '',
      natsTlsCertFile: '',
      natsTlsKeyFile: '',
      startDeadlineMs: 2000,
    };
    /** A name of the certificate: an address cannot be checked. */
    const by = (url: string, settings: Partial<NatsAccessSettings>) =>
      natsAccessFrom({ ...noAccess, natsServers: [url.replace('127.0.0.1', 'localhost')], ...settings }, systemClock);

    async function refusedBy(url: string, settings: Partial<NatsAccessSettings>, code: ErrorCode, pattern: RegExp) {
      await assert.rejects(createNatsBench(url).open(by(url, settings)), (error) => {
        failure(code, pattern)(error);
        assert.match((error as Error).message, /localhost:/);
        assert.doesNotMatch((error as Error).message, /\n|correct horse/);
        return true;
      });
    }

    it('TLS with a password; a wrong authority or password is refused, and the message names the setting', async () => {
      const [authority, stranger] = [await createAuthority(dir.path), await createAuthority(dir.path, 'stranger')];
      const { certFile, keyFile } = await authority.issue('server');
      const { url } = await serverWith(
        `tls { cert_file: "${certFile}", key_file: "${keyFile}" }\nauthorization { user: node, password: "correct horse" }`,
      );
      const natsTlsCaFile = authority.caFile;
      const valid = { natsTls: true, natsTlsCaFile, natsUsername: 'node', natsPassword: 'correct horse' };
      await works(url, by(url, valid));
      await refusedBy(url, { ...valid, natsPassword: 'wrong' }, 'unauthorized', /natsUsername and natsPassword/);
      await refusedBy(url, { ...valid, natsTlsCaFile: stranger.caFile }, 'unavailable', /natsTlsCaFile/);
      await refusedBy(url, { ...valid, natsTls: false, natsTlsCaFile: '' }, 'unavailable', /natsTlsCaFile/);
    });

    it('a certificate where the server asks for one; none, or one of an unknown authority, is refused', async () => {
      const [authority, stranger] = [await createAuthority(dir.path), await createAuthority(dir.path, 'stranger')];
      const server = await authority.issue('server');
      const { url } = await serverWith(
        `tls { cert_file: "${server.certFile}", key_file: "${server.keyFile}", ca_file: "${authority.caFile}", verify: true }`,
      );
      const certificateOf = async (issuer: typeof authority) => {
        const { certFile: natsTlsCertFile, keyFile: natsTlsKeyFile } = await issuer.issue('client');
        return { natsTls: true, natsTlsCaFile: authority.caFile, natsTlsCertFile, natsTlsKeyFile };
      };
      await works(url, by(url, await certificateOf(authority)));
      await refusedBy(url, { natsTls: true, natsTlsCaFile: authority.caFile }, 'unavailable', /natsTlsCertFile/);
      await refusedBy(url, await certificateOf(stranger), 'unavailable', /natsTlsCertFile/);
    });

    it('a server whose certificate has expired, and one without TLS where TLS is required, are refused', async () => {
      const authority = await createAuthority(dir.path);
      const natsTlsCaFile = authority.caFile;
      const { certFile, keyFile } = await authority.issue('server', { days: -1 });
      const expired = await serverWith(`tls { cert_file: "${certFile}", key_file: "${keyFile}" }`);
      await refusedBy(expired.url, { natsTls: true, natsTlsCaFile }, 'unavailable', /certificate has expired/);
      await expired.stop();
      const open = await serverWith('');
      await refusedBy(open.url, { natsTls: true, natsTlsCaFile }, 'unavailable', /set natsTls to false/);
    });

    it('a file with the seed of an nkey', async () => {
      const { seed, publicKey } = createUserNkey();
      const natsCredentialsFile = join(dir.path, 'node.nk');
      await writeFile(natsCredentialsFile, `${seed}\n`);
      const { url } = await serverWith(`authorization { users: [ { nkey: ${publicKey} } ] }`);
      await works(url, by(url, { natsCredentialsFile }));
      await writeFile(natsCredentialsFile, createUserNkey().seed);
      await refusedBy(url, { natsCredentialsFile }, 'unauthorized', /natsCredentialsFile/);
    });
  });

  it('subjects that the user may not use are forbidden, and the others still work', async () => {
    const { url } = await serverWith(`authorization { users: [ { user: node, password: "correct horse", permissions: {
      publish: ["free.>", "_INBOX.>"], subscribe: ["free.>", "_INBOX.>"] } } ] }`);
    const bench = createNatsBench(url);
    const { bus, complaints } = await bench.open({ credentials: password('node') });
    const seen = createInbox<string>();
    await bus.subscribe('free.*', (payload) => seen.put(text(payload)));
    await assert.rejects(
      bus.subscribe('secret.a', () => {}),
      failure('forbidden', /subscribe to "secret\.a"/),
    );
    await assert.rejects(
      bus.request('secret.a', bytes('x'), { deadlineMs: 60_000 }),
      failure('forbidden', /publish to "secret\.a"/),
    );
    bus.publish('free.a', bytes('received'));
    assert.equal(await seen.next(), 'received');
    assert.ok(complaints.includes('the NATS user may not publish to this subject'));
    await bench.close();
  });
});

/** An Ed25519 key pair in the form of NATS: base32 of prefix, key and CRC-16. https://github.com/nats-io/nkeys */
function createUserNkey(): { seed: string; publicKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const rawSeed = createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }))
    .export({ type: 'pkcs8', format: 'der' })
    .subarray(-32);
  const rawPublic = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const seedPrefix = 18 << 3;
  const userPrefix = 20 << 3;
  return {
    seed: base32([seedPrefix | (userPrefix >> 5), (userPrefix & 31) << 3, ...rawSeed]),
    publicKey: base32([userPrefix, ...rawPublic]),
  };
}

function base32(content: number[]): string {
  const crc = crc16(content);
  let bits = '';
  for (const byte of [...content, crc & 255, crc >> 8]) bits += byte.toString(2).padStart(8, '0');
  return (bits.match(/.{1,5}/g) ?? [])
    .map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five.padEnd(5, '0'), 2)])
    .join('');
}

/** CRC-16/XMODEM. */
function crc16(content: number[]): number {
  let crc = 0;
  for (const byte of content) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}
