import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createPgDatabase } from '@tailrace/database/pg';
import { silentLogger } from '@tailrace/platform/logger';
import { freePort } from '../src/free-port.ts';
import { startPostgres } from '../src/postgres.ts';
import { createTempDir } from '../src/tempdir.ts';

const local = { ...process.env, TAILRACE_TEST_BROKERS: 'local' };

test('a server keeps its rows and its port over a kill, and others can use it by its address', async () => {
  const server = await startPostgres({ env: local });
  try {
    const url = await server.createDatabase();
    const database = createPgDatabase({ url, logger: silentLogger });
    await database.query('CREATE TABLE row AS SELECT generate_series(1, 3) AS n');
    await database.close();
    const { pid } = server;
    await server.kill();
    await server.restart();
    assert.notEqual(server.pid, pid);
    const again = createPgDatabase({ url, logger: silentLogger });
    assert.equal((await again.query('SELECT n FROM row')).rowCount, 3);

    const shared = await startPostgres({ env: { TAILRACE_TEST_POSTGRES: server.url } });
    assert.equal(shared.source, 'environment');
    const own = await shared.createDatabase();
    await assert.rejects(shared.kill(), { code: 'forbidden' });
    await shared.stop();
    const name = own.slice(own.lastIndexOf('/') + 1);
    assert.equal((await again.query('SELECT 1 FROM pg_database WHERE datname = $1', [name])).rowCount, 0);
    await again.close();
  } finally {
    await server.stop();
  }
});

test('data in a folder that only its owner may enter outlives the server', async () => {
  const temp = await createTempDir('postgres');
  const dataDir = join(temp.path, 'data');
  try {
    for (const run of [1, 2]) {
      const server = await startPostgres({ env: local, dataDir });
      try {
        const url = await server.databaseNamed('kept');
        assert.equal(await server.databaseNamed('kept'), url);
        const database = createPgDatabase({ url, logger: silentLogger });
        await database.query('CREATE TABLE IF NOT EXISTS run (n int)');
        await database.query('INSERT INTO run VALUES ($1)', [run]);
        assert.equal((await database.query('SELECT n FROM run')).rowCount, run);
        // The stop does not wait for an open connection.
        if (run === 1) await server.stop();
        await database.close();
      } finally {
        await server.stop();
      }
    }
  } finally {
    await temp.remove();
  }
});

test('an address without a server is an error without the password', async () => {
  const address = `postgres://me:secret@127.0.0.1:${await freePort()}/x`;
  await assert.rejects(startPostgres({ env: { TAILRACE_TEST_POSTGRES: address } }), (error: Error) => {
    assert.match(error.message, /^TAILRACE_TEST_POSTGRES names 127\.0\.0\.1:\d+, which does not serve: .*ECONNREFUSED/);
    assert.doesNotMatch(error.message, /secret/);
    return true;
  });
});

test('a server whose programs do not work is an error that names what to install', async () => {
  const temp = await createTempDir('postgres');
  const folder = join(temp.path, 'bin');
  await mkdir(folder);
  await writeFile(join(folder, 'postgres'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  const env = { PATH: `${folder}:/usr/bin:/bin`, DOCKER_HOST: `unix://${temp.path}/none` };
  await assert.rejects(startPostgres({ env }), (error: Error) => {
    assert.match(error.message, /^no PostgreSQL to test with/);
    assert.match(error.message, /environment: TAILRACE_TEST_POSTGRES is not set/);
    assert.match(error.message, /local: initdb fails/);
    assert.match(error.message, /testcontainers: no Docker engine answers/);
    assert.match(error.message, /Debian: apt install postgresql/);
    return true;
  });
  await temp.remove();
});
