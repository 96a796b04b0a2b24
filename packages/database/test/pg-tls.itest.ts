import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { type DatabaseSettings, databaseAccessFrom } from '@tailrace/platform/database-settings';
import { silentLogger } from '@tailrace/platform/logger';
import { type Authority, createAuthority } from '@tailrace/testkit/certificates';
import { type PostgresServer, startPostgres } from '@tailrace/testkit/postgres';
import { createTempDir, type TempDir } from '@tailrace/testkit/tempdir';
import { createPgDatabase } from '../src/pg.ts';
import { failure } from './contract-bench.ts';

let dir: TempDir;
let authority: Authority;
let server: PostgresServer;

before(async () => {
  dir = await createTempDir('pg-tls');
  authority = await createAuthority(dir.path);
  const { certFile, keyFile } = await authority.issue('server');
  // The server is another user than root, and refuses a key that others may read.
  if (process.getuid?.() === 0) execFileSync('chown', ['postgres:', keyFile]);
  await chmod(keyFile, 0o600);
  await chmod(dir.path, 0o711);
  const settings = { ssl: 'on', ssl_cert_file: certFile, ssl_key_file: keyFile };
  server = await startPostgres({ env: { ...process.env, TAILRACE_TEST_BROKERS: 'local' }, settings });
});

after(async () => {
  await server?.stop();
  await dir.remove();
});

function databaseOf(tls: Partial<DatabaseSettings>) {
  const settings: DatabaseSettings = {
    databaseUrl: server.url,
    databasePassword: '',
    databaseTls: false,
    databaseTlsCaFile: '',
    databaseTlsCertFile: '',
    databaseTlsKeyFile: '',
    databaseConnectionsMax: 2,
    databaseWaitingMax: 10,
    databaseAcquireTimeoutMs: 5_000,
    databaseStatementTimeoutMs: 5_000,
    ...tls,
  };
  return createPgDatabase({ logger: silentLogger, ...databaseAccessFrom(settings, systemClock) });
}

test('with TLS the server is verified by its authority', async () => {
  const database = databaseOf({ databaseTls: true, databaseTlsCaFile: authority.caFile });
  await database.start();
  const { rows } = await database.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
  assert.deepEqual(rows, [{ ssl: true }]);
  await database.close();
});

test('a server of another authority is refused with the reason', async () => {
  const database = databaseOf({ databaseTls: true });
  const error = await failure(database.start());
  assert.equal(error.code, 'unavailable');
  assert.match(error.message, /cannot connect: .*(certificate|issuer)/);
  await database.close();
});

test('without databaseTls the connection is plaintext', async () => {
  const database = databaseOf({});
  const { rows } = await database.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
  assert.deepEqual(rows, [{ ssl: false }]);
  await database.close();
});
