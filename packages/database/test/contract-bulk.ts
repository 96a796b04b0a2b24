import assert from 'node:assert/strict';
import { createInbox } from '@tailrace/testkit/eventually';
import { failure, type Promised } from './contract-bench.ts';

export function copies(promised: Promised): void {
  promised('a large copy inserts all rows, with all characters', async (database) => {
    await database.query('CREATE TABLE reading (i int, text text, at timestamptz, data jsonb, none int)');
    const at = new Date(1_796_034_000_123);
    async function* rows() {
      for (let i = 0; i < 50_000; i++) yield [i, `a\tb\nc\\d\r${i}é😀`, at, { i }, null];
    }
    assert.equal(await database.copyIn('reading', ['i', 'text', 'at', 'data', 'none'], rows()), 50_000);
    const { rows: last } = await database.query('SELECT * FROM reading ORDER BY i DESC LIMIT 1');
    assert.deepEqual(last, [{ i: 49_999, text: 'a\tb\nc\\d\r49999é😀', at, data: { i: 49_999 }, none: null }]);
    assert.deepEqual((await database.query('SELECT count(*) AS n, sum(i) AS s FROM reading')).rows, [
      { n: 50_000, s: 1_249_975_000 },
    ]);
  });

  promised('a copy inserts all rows or none', async (database) => {
    await database.query('CREATE TABLE "some Copy" (i int CONSTRAINT positive CHECK (i > 0))');
    const copy = (rows: Iterable<readonly unknown[]>) => database.copyIn('some Copy', ['i'], rows);
    assert.equal((await failure(copy([[1], ['x']]))).code, 'invalid_message');
    assert.equal((await failure(copy([[1], [0]]))).code, 'conflict');
    assert.equal((await failure(copy([[1], [1, 2]]))).code, 'invalid_message');
    function* failing() {
      for (let i = 1; i < 100_000; i++) yield [i];
      throw new RangeError('mine');
    }
    await assert.rejects(copy(failing()), /mine/);
    assert.deepEqual((await database.query('SELECT count(*) AS n FROM "some Copy"')).rows, [{ n: 0 }]);
    assert.equal(await copy([]), 0);
    assert.equal(await copy([[7]]), 1);
  });

  promised('a copy in a transaction is a part of it', async (database) => {
    await database.query('CREATE TABLE part_copy (i int)');
    await assert.rejects(
      database.transaction(async (transaction) => {
        await transaction.copyIn('public.part_copy', ['i'], [[1], [2]]);
        const { rowCount } = await transaction.query('SELECT i FROM part_copy');
        throw new RangeError(`${rowCount} rows`);
      }),
      /2 rows/,
    );
    assert.equal((await database.query('SELECT i FROM part_copy')).rowCount, 0);
  });
}

export function notifications(promised: Promised): void {
  promised('listeners receive the notifications of their channel, in order, after the commit', async (database) => {
    const seen = createInbox<string>();
    const onReconnect = () => assert.fail('not interrupted');
    const first = await database.listen('Rules "1"', {
      onNotification: (payload) => seen.put(`1 ${payload}`),
      onReconnect,
    });
    await database.listen('Rules "1"', { onNotification: (payload) => seen.put(`2 ${payload}`), onReconnect });
    await database.listen('other', { onNotification: (payload) => seen.put(payload), onReconnect });
    await database.notify('Rules "1"', 'a');
    await seen.atLeast(2);
    await assert.rejects(
      database.transaction(async (transaction) => {
        await transaction.notify('Rules "1"', 'never');
        throw new RangeError('mine');
      }),
    );
    await first.stop();
    await first.stop();
    await database.transaction(async (transaction) => {
      await transaction.notify('Rules "1"', 'b');
      await transaction.notify('other', '');
    });
    await seen.atLeast(4);
    assert.deepEqual(seen.all.toSorted(), ['', '1 a', '2 a', '2 b']);
  });

  promised('what a listener throws does not affect others', async (database) => {
    const seen = createInbox<string>();
    const failing = () => {
      throw new RangeError('mine');
    };
    await database.listen('shared', { onNotification: failing, onReconnect() {} });
    await database.listen('shared', { onNotification: (payload) => seen.put(payload), onReconnect() {} });
    await database.notify('shared', 'x'.repeat(7_999));
    await seen.atLeast(1);
    assert.equal((await failure(database.notify('shared', 'x'.repeat(8_000)))).code, 'too_large');
    assert.equal((await failure(database.notify('', 'x'))).code, 'invalid_message');
  });
}
