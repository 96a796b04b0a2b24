import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { templateVersion } from './embedded-database.ts';

test('the cached database is of the installed PGlite', async () => {
  const text = await readFile(new URL('../../database/package.json', import.meta.url), 'utf8');
  const { dependencies } = JSON.parse(text) as { dependencies: Record<string, string> };
  assert.equal(templateVersion, dependencies['@electric-sql/pglite']);
});
