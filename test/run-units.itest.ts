import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createTempDir } from '@tailrace/testkit/tempdir';

const script = resolve(import.meta.dirname, '../scripts/run-units.ts');

/** Runs these files, by their paths. */
async function runUnits(t: TestContext, files: Readonly<Record<string, string>>) {
  const dir = await createTempDir('run-units');
  t.after(() => dir.remove());
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir.path, path)), { recursive: true });
    await writeFile(join(dir.path, path), `import { beforeEach, test } from 'node:test';\n${text}\n`);
  }
  const { status, stdout } = spawnSync(process.execPath, [script, '**/*.test.mjs'], {
    cwd: dir.path,
    encoding: 'utf8',
  });
  return { status, stdout };
}

const passes = "test('a', () => {});";

test('files of a folder share a process; one with a hook at its root has its own', async (t) => {
  const print = "console.log('pid', process.pid);";
  const { status, stdout } = await runUnits(t, {
    'packages/a/one.test.mjs': `${print}${passes}`,
    'packages/a/two.test.mjs': `${print}${passes}`,
    'packages/a/hook.test.mjs': `${print}\nbeforeEach(() => {});\n${passes}`,
    'packages/b/one.test.mjs': `${print}${passes}`,
  });
  assert.equal(status, 0, stdout);
  assert.equal(new Set(stdout.match(/pid \d+/g)).size, 3, stdout);
  assert.match(stdout, /ℹ pass 4\nℹ fail 0\n/);
});

test('an uncaught error that is of no test fails the run, with its stack', async (t) => {
  const late = "setTimeout(() => Promise.reject(new Error('too late')), 1)";
  const { status, stdout } = await runUnits(t, {
    'packages/a/one.test.mjs': `test('a', () => new Promise((done) => { ${late}; setTimeout(done, 20); }));`,
    'packages/a/two.test.mjs': passes,
  });
  assert.equal(status, 1);
  assert.match(stdout, /^Error: too late\n +at .*one\.test\.mjs/m);
  assert.match(stdout, /ℹ fail 1\n/);
});

test('a test that fails, and a process that dies, fail the run; the others run, and the sums are of all', async (t) => {
  const { status, stdout } = await runUnits(t, {
    'packages/a/one.test.mjs': "test('b', () => { throw new Error('expected b'); });",
    'packages/b/one.test.mjs': passes,
    'packages/c/one.test.mjs': "process.kill(process.pid, 'SIGKILL');",
    'packages/c/two.test.mjs': passes,
  });
  assert.equal(status, 1);
  assert.match(stdout, /expected b/);
  assert.match(stdout, /packages\/c\/two\.test\.mjs: exit code SIGKILL, not all files ran/);
  assert.match(stdout, /ℹ pass 1\nℹ fail 2\n/);
});

test('a suite in a shared process is an error, and no test of it is lost', async (t) => {
  const { status, stdout } = await runUnits(t, {
    'packages/a/one.test.mjs': "import '../../suite.mjs';",
    'packages/a/two.test.mjs': passes,
    'suite.mjs': "import { describe, it } from 'node:test'; describe('s', () => { it('c', () => {}); });",
  });
  assert.equal(status, 1);
  assert.match(stdout, /expected tests without describe/);
});

test('globs without a file are an error', async (t) => {
  assert.equal((await runUnits(t, {})).status, 1);
});
