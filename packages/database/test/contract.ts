import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Database } from '../src/database.ts';
import { constraintOf } from '../src/database-error.ts';
import { type ContractLimits, failure, type Promised } from './contract-bench.ts';
import { copies, notifications } from './contract-bulk.ts';
import { migrations } from './contract-migrations.ts';
import { transactions } from './contract-transactions.ts';

/** A server, or what stands for one. */
export interface ContractServer {
  /** Returns databases that share their tables; not started. */
  open(): Promise<(limits?: ContractLimits) => Database>;
  close(): Promise<void>;
}

/** The contract of every Database. Each test has its own tables. */
export function databaseContract(adapter: string, openServer: () => Promise<ContractServer>): void {
  describe(`database contract: ${adapter}`, () => {
    let server: ContractServer;
    let create: (limits?: ContractLimits) => Database;
    let shared: Database;
    before(async () => {
      server = await openServer();
      create = await server.open();
      shared = create();
      await shared.start();
    });
    after(async () => {
      await shared?.close();
      await server?.close();
    });
    const promised: Promised = (promise, test, limits) =>
      it(promise, async () => {
        if (limits === undefined) return await test(shared);
        const own = (await server.open())(limits);
        await own.start();
        try {
          await test(own);
        } finally {
          await own.close();
        }
      });
    statements(promised);
    errors(promised);
    transactions(promised);
    copies(promised);
    notifications(promised);
    migrations(promised);
    limitsAndClose(promised);
  });
}

/** A statement that computes for a second or more, and that PostgreSQL can cancel at any time. */
const longStatement = 'SELECT count(*) AS n FROM generate_series(1, 2000000) AS a(i) WHERE sqrt(i) > 0';

function statements(promised: Promised): void {
  promised('values of all types arrive as they were sent', async (database) => {
    const bytes = new Uint8Array([0, 92, 255]);
    const at = new Date('2026-02-28T23:59:59.123Z');
    const sent = [5, 2 ** 53 - 1, -0.5, true, 'a\\b"\n{}', bytes, at, { a: [1, null] }, JSON.stringify([1, 'x'])];
    const types = ['int', 'bigint', 'float8', 'boolean', 'text', 'bytea', 'timestamptz', 'jsonb', 'jsonb'];
    const columns = types.map((type, i) => `$${i + 1}::${type} AS c${i}`).join(', ');
    const { rows } = await database.query(`SELECT ${columns}, NULL AS nothing, 1.50::numeric AS exact`, sent);
    assert.deepEqual(rows, [
      Object.fromEntries([
        ...[...sent.slice(0, -1), [1, 'x']].map((value, i) => [`c${i}`, value]),
        ...[['nothing', null] as const, ['exact', '1.50'] as const],
      ]),
    ]);
  });

  promised('arrays arrive as they were sent', async (database) => {
    const sent = [['a', 'NULL', '', 'x,"y"\\{}', null], [1, 2], [[1], [2]], [true, false], [], [{ a: '}' }]];
    const types = ['text[]', 'bigint[]', 'int[]', 'boolean[]', 'text[]', 'jsonb[]'];
    const columns = types.map((type, i) => `$${i + 1}::${type} AS c${i}`).join(', ');
    const { rows } = await database.query(`SELECT ${columns}`, sent);
    assert.deepEqual(rows, [Object.fromEntries(sent.map((value, i) => [`c${i}`, value]))]);
  });

  promised('the number of changed rows is that of the server', async (database) => {
    await database.query('CREATE TABLE counted (i int)');
    const inserted = await database.query('INSERT INTO counted SELECT generate_series(1, 3)');
    assert.deepEqual(inserted, { rows: [], rowCount: 3 });
    const changed = await database.query('UPDATE counted SET i = i + 1 WHERE i > 1 RETURNING i');
    assert.deepEqual(changed, { rows: [{ i: 3 }, { i: 4 }], rowCount: 2 });
    assert.equal((await database.query('DELETE FROM counted WHERE false')).rowCount, 0);
  });

  promised('a statement is one statement', async (database) => {
    const error = await failure(database.query('SELECT 1; SELECT 2'));
    assert.equal(error.code, 'internal');
    assert.match(String((error.cause as Error).message), /multiple commands/);
  });
}

function errors(promised: Promised): void {
  promised('a violated constraint is a conflict with its name', async (database) => {
    await database.query(
      'CREATE TABLE area (id text CONSTRAINT area_id PRIMARY KEY, size int CONSTRAINT small CHECK (size < 9))',
    );
    await database.query('CREATE TABLE part (area text CONSTRAINT part_area REFERENCES area)');
    await database.query("INSERT INTO area VALUES ('a', 1)");
    const cases = [
      ["INSERT INTO area VALUES ('a', 1)", 'area_id'],
      ["INSERT INTO area VALUES ('b', 10)", 'small'],
      ["INSERT INTO part VALUES ('c')", 'part_area'],
    ] as const;
    for (const [sql, constraint] of cases) {
      const error = await failure(database.query(sql));
      assert.deepEqual([error.code, error.retryable, constraintOf(error)], ['conflict', false, constraint]);
      assert.match(error.message, new RegExp(constraint));
    }
  });

  promised('a value that its column refuses is invalid, and an invalid statement internal', async (database) => {
    const bad = [
      [() => database.query('SELECT $1::int', ['x']), 'invalid_message'],
      [() => database.query('SELECT $1::int', [2 ** 40]), 'invalid_message'],
      [() => database.query('SELECT $1::text', ['a\0b']), 'invalid_message'],
      [() => database.query('SELECT $1::jsonb', [{ a: '\0' }]), 'invalid_message'],
      [() => database.query('SELECT 1 / $1::int', [0]), 'invalid_message'],
      [() => database.query('SELECT * FROM missing_table'), 'internal'],
      [() => database.query('SELEC 1'), 'internal'],
      [() => database.query('SELECT 9007199254740993::bigint AS big'), 'internal'],
    ] as const;
    for (const [call, code] of bad) assert.equal((await failure(call())).code, code, String(call));
    await database.health();
  });

  promised('a statement that takes too long is a timeout, and later ones work', async (database) => {
    const long = database.transaction((transaction) => transaction.query(longStatement), { statementTimeoutMs: 20 });
    const error = await failure(long);
    assert.deepEqual([error.code, error.retryable], ['timeout', true]);
    await database.health();
  });

  promised('a canceled statement rejects, and later ones work', async (database) => {
    const abort = new AbortController();
    const canceled = failure(database.query(longStatement, [], { signal: abort.signal }));
    while (database.stats().busy === 0) await new Promise(setImmediate);
    abort.abort();
    assert.equal((await canceled).code, 'canceled');
    await database.health();
    assert.equal((await failure(database.query('SELECT 1', [], { signal: abort.signal }))).code, 'canceled');
  });
}

function limitsAndClose(promised: Promised): void {
  const limits = { connectionsMax: 1, waitingMax: 1, acquireTimeoutMs: 300 };
  promised(
    'beyond its limit a waiting call is refused at once, and one that waits too long after a time',
    async (database) => {
      await database.transaction(async () => {
        const waiting = failure(database.query('SELECT 1'));
        const refused = await failure(database.query('SELECT 1'));
        assert.deepEqual([refused.code, refused.retryable], ['limit_reached', true]);
        assert.deepEqual([database.stats().waiting, database.stats().busy], [1, 1]);
        const late = await waiting;
        assert.deepEqual([late.code, late.retryable], ['timeout', true]);
      });
      assert.equal(database.stats().refused, 2);
      await database.health();
    },
    limits,
  );

  promised(
    'close waits for a transaction, and refuses what comes later',
    async (database) => {
      await database.query('CREATE TABLE IF NOT EXISTS closing (i int)');
      const proceed = Promise.withResolvers<void>();
      const inside = Promise.withResolvers<void>();
      const working = database.transaction(async (transaction) => {
        inside.resolve();
        await proceed.promise;
        return (await transaction.query('INSERT INTO closing VALUES (1)')).rowCount;
      });
      await inside.promise;
      const closed = database.close();
      assert.equal((await failure(database.query('SELECT 1'))).code, 'closed');
      proceed.resolve();
      assert.equal(await working, 1);
      await closed;
      await database.close();
      assert.equal((await failure(database.listen('x', { onNotification() {}, onReconnect() {} }))).code, 'closed');
    },
    {},
  );
}
