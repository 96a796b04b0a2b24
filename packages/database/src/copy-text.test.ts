import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyChunks, copyStatement } from './copy-text.ts';

async function chunksOf(rows: Iterable<readonly unknown[]>, columns: number) {
  const chunks: { text: string; rows: number }[] = [];
  for await (const chunk of copyChunks(rows, columns)) chunks.push(chunk);
  return chunks;
}

test('rows are lines with tabs, and their special characters are escaped', async () => {
  const rows = [
    [1, 'a\tb\\c\nd\re'],
    [null, ''],
  ];
  assert.deepEqual(await chunksOf(rows, 2), [{ text: '1\ta\\tb\\\\c\\nd\\re\n\\N\t\n', rows: 2 }]);
});

test('many rows are several chunks of whole rows', async () => {
  const chunks = await chunksOf(
    Array.from({ length: 10 }, () => ['x'.repeat(100_000)]),
    1,
  );
  assert.deepEqual(
    chunks.map(({ rows }) => rows),
    [3, 3, 3, 1],
  );
  assert.ok(chunks.every(({ text }) => text.endsWith('x\n')));
  assert.deepEqual(await chunksOf([], 1), []);
});

test('names are quoted', () => {
  assert.equal(copyStatement('history.a"b', ['x', 'Y z']), 'COPY "history"."a""b" ("x", "Y z") FROM STDIN');
});
