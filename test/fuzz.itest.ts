import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { FuzzRun } from './fuzz/fuzz-run.ts';

const fuzzModule = pathToFileURL(resolve(import.meta.dirname, '../packages/testkit/src/fuzz.ts')).href;

/** Runs a test that fails for the seeds for which `condition` is false. */
async function fuzz(t: TestContext, condition: string, limitMs: number) {
  const dir = await createTempDir('fuzz');
  t.after(() => dir.remove());
  const file = join(dir.path, 'parser.test.mjs');
  const lines = [
    "import assert from 'node:assert/strict';",
    "import { test } from 'node:test';",
    `import { fuzzed } from '${fuzzModule}';`,
    `test('a parser', async () => { const { seed, numRuns } = fuzzed(3); assert.ok(${condition}, \`\${seed} \${numRuns}\`); });`,
  ];
  await writeFile(file, lines.join('\n'));
  const printed: string[] = [];
  const run = new FuzzRun({
    ...{ root: dir.path, files: [file], seed: 5, limitMs, factor: 10, jobs: 1, data: join(dir.path, 'data') },
    print: (text) => printed.push(text),
  });
  return { passed: await run.run(), printed: printed.join('\n') };
}

test('one pass with a seed passes, with ten times the cases', async (t) => {
  const { passed, printed } = await fuzz(t, 'seed === 5 && numRuns === 30', 0);
  assert.equal(passed, true, printed);
  assert.match(printed, /1 runs of files passed, 0 failed, seeds 5 to 5\./);
});

test('a failure has its seed, its output and the command that repeats it, and its file is not repeated', async (t) => {
  const { passed, printed } = await fuzz(t, 'seed < 7', 60_000);
  assert.equal(passed, false);
  assert.match(printed, /FAILED: parser\.test\.mjs with seed 7\./);
  assert.match(printed, /7 30/);
  assert.match(printed, /make fuzz SEED=7 SECONDS=0 FACTOR=10 ONLY=parser\.test\.mjs/);
  assert.match(printed, /2 runs of files passed, 1 failed, seeds 5 to 7\./);
});

test('at its time limit it stops what runs', async (t) => {
  const { passed, printed } = await fuzz(t, 'await new Promise((done) => setTimeout(done, 3_600_000))', 300);
  assert.equal(passed, true);
  assert.match(printed, /0 runs of files passed, 0 failed/);
});
