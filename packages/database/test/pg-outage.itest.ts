import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { isTailraceError } from '@tailrace/protocol/error';
import { createInbox, eventually } from '@tailrace/testkit/eventually';
import { freePort } from '@tailrace/testkit/free-port';
import { type PostgresServer, startPostgres } from '@tailrace/testkit/postgres';
import type { Database } from '../src/database.ts';
import { registerDatabaseMetrics } from '../src/metrics.ts';
import { createPgDatabase } from '../src/pg.ts';
import { failure } from './contract-bench.ts';

let server: PostgresServer;
let url: string;

before(async () => {
  server = await startPostgres();
  url = await server.createDatabase();
});

after(() => server?.stop());

const limits = { connectionsMax: 3, acquireTimeoutMs: 2_000, statementTimeoutMs: 10_000 };

async function used(use: (database: Database) => Promise<void>, options: Partial<typeof limits> = {}): Promise<void> {
  const database = createPgDatabase({ url, logger: silentLogger, random: () => 0.1, ...limits, ...options });
  await database.start();
  try {
    await use(database);
  } finally {
    await database.close();
  }
}

test('a database that is not there is refused with its reason', async () => {
  const at = (address: string) => createPgDatabase({ url: address, logger: silentLogger, ...limits });
  const port = await freePort();
  const away = await failure(at(`postgres://me@127.0.0.1:${port}/x`).start());
  assert.deepEqual([away.code, away.retryable], ['unavailable', true]);
  // The message goes to users of an API; the log has its cause, with the address.
  assert.equal(away.message, 'database: cannot connect: ECONNREFUSED');
  assert.match((away.cause as Error).message, new RegExp(`ECONNREFUSED 127\\.0\\.0\\.1:${port}`));
  const missing = await failure(at(url.replace(/\w+$/, 'other')).start());
  assert.deepEqual([missing.code, missing.retryable], ['not_found', false]);
});

test('a lost connection rolls its transaction back, and the next call has another one', () =>
  used(async (database) => {
    await database.query('CREATE TABLE lost (i int)');
    const error = await failure(
      database.transaction(async (transaction) => {
        await transaction.query('INSERT INTO lost VALUES (1)');
        const { rows } = await transaction.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
        await database.query('SELECT pg_terminate_backend($1)', [rows[0]!.pid]);
        await transaction.query('INSERT INTO lost VALUES (2)');
      }),
    );
    assert.deepEqual([error.code, error.retryable], ['unavailable', true]);
    assert.equal((await database.query('SELECT i FROM lost')).rowCount, 0);
    assert.equal(database.stats().lost, 1);
  }));

test('a killed server is unavailable, and after its restart everything goes on, listeners too', () =>
  used(async (database) => {
    const seen = createInbox<string>();
    await database.listen('rules', {
      onNotification: (payload) => seen.put(payload),
      onReconnect: () => seen.put('(reconnected)'),
    });
    await database.notify('rules', 'before');
    await seen.atLeast(1);
    await server.kill();
    const error = await failure(eventually(() => failsOnly(database, 'unavailable')).then(() => database.health()));
    assert.deepEqual([error.code, database.stats().connected], ['unavailable', false]);
    // Subscribed when the server is back.
    const late = database.listen('late', { onNotification: (payload) => seen.put(payload), onReconnect() {} });
    await server.restart();
    await late;
    await seen.atLeast(2);
    await database.notify('rules', 'after');
    await database.notify('late', 'late');
    await seen.atLeast(4);
    assert.deepEqual(seen.all, ['before', '(reconnected)', 'after', 'late']);
    assert.ok(database.stats().connected);
  }));

async function failsOnly(database: Database, code: string): Promise<boolean> {
  try {
    await database.health();
    return false;
  } catch (error) {
    return isTailraceError(error) && error.code === code;
  }
}

test('a server that hangs is unavailable after the time-out of a statement', () =>
  used(
    async (database) => {
      await database.health();
      await server.signal('SIGSTOP');
      try {
        // The process that serves this connection is another one than the server, and still runs.
        await database.query('SELECT 1');
        const { rows } = await database.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
        if (server.source === 'local') process.kill(rows[0]!.pid, 'SIGSTOP');
        const error = await failure(database.query('SELECT 1'));
        if (server.source === 'local') process.kill(rows[0]!.pid, 'SIGKILL');
        assert.equal(error.code, 'unavailable');
        assert.equal(database.stats().lost, 1);
      } finally {
        await server.signal('SIGCONT');
      }
      await eventually(() => database.health());
    },
    { connectionsMax: 1, statementTimeoutMs: 300 },
  ));

test('the metrics have the connections, the waiting calls, and their limits', () =>
  used(
    async (database) => {
      const metrics = createMetrics({ service: 'control', node: 'n', processMetrics: false });
      registerDatabaseMetrics(metrics, database);
      let waiting: Promise<unknown> | undefined;
      const text = await database.transaction(async () => {
        waiting = database.query('SELECT 1');
        return await metrics.text();
      });
      await waiting;
      const gauge = (name: string) => new RegExp(`^tailrace_control_database_${name}{.*} (\\d+)$`, 'm').exec(text)?.[1];
      const names = ['reachable_servers', 'connections', 'open_connections', 'limit_connections'];
      assert.deepEqual(names.map(gauge), ['1', '1', '1', '1']);
      assert.deepEqual(['waiting_calls', 'limit_waiting_calls'].map(gauge), ['1', '1000']);
    },
    { connectionsMax: 1 },
  ));
