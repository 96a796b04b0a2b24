import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { embeddedTemplate } from '@tailrace/testkit/embedded-database';
import { seededWholeNumbers } from '@tailrace/testkit/random';
import { startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { createPgliteDatabase } from '../src/pglite.ts';

/** `KILLS=200 SEED=7 node --test packages/database/test/pglite-kill.itest.ts` repeats it with more kills. */
const kills = Number(process.env['KILLS'] ?? 4);
const seed = Number(process.env['SEED'] ?? 1);

test(`every acknowledged row is there after each of ${kills} kills (SEED=${seed})`, async () => {
  const dir = await createTempDir('pglite-kill');
  const below = seededWholeNumbers(seed);
  try {
    let acknowledged = 0;
    for (let kill = 0; kill < kills; kill++) {
      // Each fourth one is killed somewhere in its start, the first of them while it creates the store.
      const lines = kill % 4 === 0 ? 0 : 1 + below(120);
      acknowledged = Math.max(acknowledged, await writeAndKill(dir.path, lines, 300 + below(1_500), acknowledged));
    }
    const database = createPgliteDatabase({ directory: dir.path, logger: silentLogger });
    await database.start();
    const { rows } = await database.query<{ n: number; least: number; most: number }>(
      'SELECT count(*) AS n, coalesce(min(n), 1) AS least, coalesce(max(n), 0) AS most FROM row',
    );
    const { n, least, most } = rows[0]!;
    assert.ok(most >= acknowledged, `${acknowledged} acknowledged, ${most} found`);
    assert.deepEqual([n, least], [most, 1]);
    await database.close();
  } finally {
    await dir.remove();
  }
});

/**
 * Resolves with the last acknowledged row. `lines`: killed after that number of them; 0: killed `delayMs` after the
 * start of the process, whatever it does then.
 */
async function writeAndKill(dir: string, lines: number, delayMs: number, expected: number): Promise<number> {
  const writer = await startSupervised({
    command: process.execPath,
    args: [`${import.meta.dirname}/pglite-writer.process.ts`, dir, await embeddedTemplate()],
    output: 'pipes',
  });
  const errors: string[] = [];
  writer.child.stderr!.on('data', (chunk) => errors.push(String(chunk)));
  const timer = lines === 0 ? setTimeout(() => writer.signal('SIGKILL'), delayMs) : undefined;
  let seen = 0;
  let last = 0;
  for await (const line of createInterface({ input: writer.child.stdout! })) {
    last = Number(line);
    if (seen++ === 0) assert.ok(last >= expected, `${expected} acknowledged, ${last} found after the kill`);
    // Lines that are already written are read as well.
    if (seen === lines) writer.signal('SIGKILL');
  }
  clearTimeout(timer);
  const { signal } = await writer.exited;
  assert.equal(signal, 'SIGKILL', `the writer stopped by itself: ${errors.join('')}`);
  return last;
}
