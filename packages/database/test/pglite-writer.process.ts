/**
 * A process to be killed: inserts rows into the store of the folder argv[2], and writes a line with the number of the
 * last acknowledged row to standard output, synchronously. Numbers continue where the store has stopped.
 */
import { writeSync } from 'node:fs';
import { silentLogger } from '@tailrace/platform/logger';
import { createPgliteDatabase } from '../src/pglite.ts';

const [, , directory = '', template = ''] = process.argv;
const options = template === '' ? {} : { template };
const database = createPgliteDatabase({ directory, logger: silentLogger, backupBytes: 2 * 1_048_576, ...options });
await database.start();
await database.query('CREATE TABLE IF NOT EXISTS row (n int PRIMARY KEY, text text)');
const { rows } = await database.query<{ n: number }>('SELECT coalesce(max(n), 0) AS n FROM row');
let last = rows[0]!.n;
const text = 'x'.repeat(2_000);

const insert = 'INSERT INTO row VALUES ($1, $2)';
const kinds = [
  () => database.query(insert, [last + 1, text]).then(() => 1),
  () =>
    database.transaction(async (transaction) => {
      for (let i = 1; i <= 3; i++) await transaction.query(insert, [last + i, text]);
      return 3;
    }),
  () =>
    database.copyIn(
      'row',
      ['n', 'text'],
      Array.from({ length: 20 }, (_, i) => [last + i + 1, text]),
    ),
];

writeSync(1, `${last}\n`);
for (let i = 0; ; i++) {
  last += await kinds[i % kinds.length]!();
  writeSync(1, `${last}\n`);
}
