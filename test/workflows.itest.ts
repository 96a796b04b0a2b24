import assert from 'node:assert/strict';
import { copyFileSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { run } from '@tailrace/testkit/run';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { findTool } from '@tailrace/testkit/tool';

/** Checks the workflows of .github by actionlint, which also checks the inputs of actions. */
const root = resolve(import.meta.dirname, '..');
const workflows = globSync('.github/workflows/*.yml', { cwd: root }).sort();
const actionlint = await findTool('actionlint');
const lint = (file: string, cwd: string) =>
  run(actionlint, ['-no-color', '-oneline', '-shellcheck=', '-pyflakes=', file], { cwd, deadlineMs: 60_000 }).then(
    () => '',
    (thrown: { stdout?: string }) => String(thrown.stdout),
  );

test('actionlint accepts the workflows, and reports errors in them', async (t) => {
  assert.deepEqual(workflows, ['.github/workflows/ci.yml', '.github/workflows/release.yml']);
  for (const file of workflows) assert.equal(await lint(file, root), '', file);

  const temp = await createTempDir('workflows');
  t.after(() => temp.remove());
  mkdirSync(join(temp.path, '.github/workflows'), { recursive: true });
  await run('git', ['init', '--quiet'], { cwd: temp.path, deadlineMs: 10_000 });
  for (const file of workflows) copyFileSync(join(root, file), join(temp.path, file));
  const release = join(temp.path, '.github/workflows/release.yml');
  writeFileSync(
    release,
    readFileSync(release, 'utf8').replace('needs: [check, image]', 'needs: [check, imago]').replace('sbom:', 'sboom:'),
  );
  const errors = await lint('.github/workflows/release.yml', temp.path);
  assert.match(errors, /imago/);
  assert.match(errors, /sboom/);
});

test('actions are pinned to a version, and only the jobs that publish may write', () => {
  for (const file of workflows) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [line, action] of text.matchAll(/uses: (\S+)/g))
      assert.match(action!, /^\.\/\.github\/|@(v\d+(\.\d+)*|[0-9a-f]{40})$/, line);
    const [head] = text.split('\njobs:');
    assert.match(
      head!,
      /^permissions:\n {2}contents: read\n$/m,
      `${file}: expected the permissions of a job in the job`,
    );
  }
  const release = readFileSync(join(root, '.github/workflows/release.yml'), 'utf8');
  assert.match(release, /npm publish --provenance/);
  assert.equal(release.match(/id-token: write/g)?.length, 3);
});
