import assert from 'node:assert/strict';
import { systemClock } from '@tailrace/platform/clock';
import type { Database, Transaction } from '../src/database.ts';
import { isSerializationFailure, retryTransaction } from '../src/retry-transaction.ts';
import { typedQueries } from '../src/typed-queries.ts';
import { failure, type Promised } from './contract-bench.ts';

export function transactions(promised: Promised): void {
  promised('a transaction commits all of its changes or none', async (database) => {
    await database.query('CREATE TABLE account (id text PRIMARY KEY, amount int)');
    const insert = (id: string) => (transaction: Transaction) =>
      transaction.query('INSERT INTO account VALUES ($1, 1)', [id]);
    const result = await database.transaction(async (transaction) => {
      await insert('a')(transaction);
      const { rows } = await transaction.query('SELECT id FROM account');
      return rows;
    });
    assert.deepEqual(result, [{ id: 'a' }]);
    const own = new RangeError('mine');
    await assert.rejects(
      database.transaction(async (transaction) => {
        await insert('b')(transaction);
        throw own;
      }),
      (error) => error === own,
    );
    assert.deepEqual((await database.query('SELECT id FROM account')).rows, [{ id: 'a' }]);
  });

  promised('a transaction whose failed statement was ignored rejects', async (database) => {
    await database.query('CREATE TABLE ignored (i int)');
    const error = await failure(
      database.transaction(async (transaction) => {
        await transaction.query('INSERT INTO ignored VALUES (1)');
        await failure(transaction.query('SELECT 1 / 0'));
      }),
    );
    assert.match(error.message, /expected a commit, got "ROLLBACK"/);
    assert.deepEqual((await database.query('SELECT * FROM ignored')).rows, []);
  });

  promised('a transaction refuses statements after it has settled', async (database) => {
    let kept: Transaction | undefined;
    await database.transaction(async (transaction) => {
      kept = transaction;
    });
    assert.equal((await failure(kept!.query('SELECT 1'))).code, 'closed');
    assert.equal((await failure(kept!.copyIn('x', ['y'], []))).code, 'closed');
  });

  promised('concurrent statements of a transaction run one after the other', async (database) => {
    const sums = await database.transaction((transaction) =>
      Promise.all(Array.from({ length: 20 }, (_, i) => transaction.query('SELECT $1::int AS i', [i]))),
    );
    assert.deepEqual(
      sums.map(({ rows }) => rows[0]),
      Array.from({ length: 20 }, (_, i) => ({ i })),
    );
  });

  promised('serializable transactions that conflict are run again, and none is lost', async (database) => {
    await database.query('CREATE TABLE counter (n int)');
    await database.query('INSERT INTO counter VALUES (0)');
    const options = { clock: systemClock, random: Math.random, isolation: 'serializable', deadlineMs: 20_000 } as const;
    const add = () =>
      retryTransaction(database, options, async (transaction) => {
        const { rows } = await transaction.query<{ n: number }>('SELECT n FROM counter');
        await transaction.query('UPDATE counter SET n = $1', [rows[0]!.n + 1]);
      });
    await Promise.all(Array.from({ length: 12 }, add));
    assert.deepEqual((await database.query('SELECT n FROM counter')).rows, [{ n: 12 }]);
  });

  promised('a serialization failure is a conflict that may be run again', async (database) => {
    const error = await failure(database.transaction((transaction) => raise(transaction, '40001')));
    assert.ok(isSerializationFailure(error));
    assert.ok(isSerializationFailure(await failure(raise(database, '40P01'))));
    assert.ok(!isSerializationFailure(await failure(raise(database, '23505'))));
  });

  promised('of concurrent transactions with an advisory lock one runs at a time', async (database) => {
    let inside = 0;
    let most = 0;
    const work = () =>
      database.transaction(async (transaction) => {
        await transaction.query('SELECT pg_advisory_xact_lock(4711)');
        most = Math.max(most, ++inside);
        await transaction.query('SELECT 1');
        inside--;
      });
    await Promise.all(Array.from({ length: 6 }, work));
    assert.equal(most, 1);
  });

  promised('typed queries run over the database and over a transaction', async (database) => {
    interface Tables {
      device: { id: string; rank: number; labels: unknown };
    }
    await database.query('CREATE TABLE device (id text PRIMARY KEY, rank bigint, labels jsonb)');
    await database.transaction(async (transaction) => {
      const typed = typedQueries<Tables>(transaction);
      const values = ['a', 'b', 'c'].map((id, i) => ({ id, rank: i, labels: JSON.stringify([id]) }));
      const [{ numInsertedOrUpdatedRows } = {}] = await typed.insertInto('device').values(values).execute();
      assert.equal(numInsertedOrUpdatedRows, 3n);
    });
    const typed = typedQueries<Tables>(database);
    assert.deepEqual(await typed.selectFrom('device').selectAll().where('rank', '>', 1).execute(), [
      { id: 'c', rank: 2, labels: ['c'] },
    ]);
    const deleted = await typed.deleteFrom('device').where('id', 'in', ['a', 'b']).executeTakeFirst();
    assert.equal(deleted.numDeletedRows, 2n);
    const own = typed.transaction().execute(async () => {});
    assert.match((await failure(own)).message, /Database\.transaction/);
  });
}

function raise(queryable: Pick<Database, 'query'>, state: string): Promise<unknown> {
  return queryable.query(`DO $$ BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = '${state}'; END $$`);
}
