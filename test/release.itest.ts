import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { run } from '@tailrace/testkit/run';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { contentErrors, exportErrors, packed, usageErrors } from '../scripts/release/package.ts';
import { repositoryErrors } from '../scripts/release/repository.ts';

/** Errors that `make release-check` finds: none in the package as it is, and the one put into each broken copy. */
const root = resolve(import.meta.dirname, '..');
const tsc = join(root, 'node_modules/typescript/bin/tsc');
const temp = await createTempDir('release');
const built = join(temp.path, 'built');

before(() =>
  run(process.execPath, [join(root, 'scripts/build-client.ts'), '--out', built], { cwd: root, deadlineMs: 60_000 }),
);
after(() => temp.remove());

/** Packs a copy of what was built, after `breakCopy` has changed it. */
async function tarballOf(
  name: string,
  breakCopy: (folder: string) => void = () => {},
): Promise<{ tarball: string; folder: string }> {
  const folder = join(temp.path, name);
  cpSync(built, join(folder, 'copy'), { recursive: true });
  breakCopy(join(folder, 'copy'));
  return { tarball: await packed(join(folder, 'copy'), join(folder, 'packed')), folder };
}

function edit(file: string, change: (text: string) => string): void {
  const text = readFileSync(file, 'utf8');
  const changed = change(text);
  assert.notEqual(changed, text, `${file} was not broken`);
  writeFileSync(file, changed);
}

test('the client as it is can be published', async () => {
  const { tarball, folder } = await tarballOf('right');
  assert.match(tarball, /tailrace-client-\d+\.\d+\.\d+.*\.tgz$/);
  assert.deepEqual(await contentErrors(tarball, join(folder, 'unpacked'), root), []);
  assert.deepEqual(await exportErrors(tarball, root), []);
  assert.deepEqual(await usageErrors(tarball, join(folder, 'fresh'), tsc), []);
});

test('an export that leads nowhere is found by publint and by a program', async () => {
  const { tarball, folder } = await tarballOf('nowhere', (copy) =>
    edit(join(copy, 'package.json'), (text) => text.replace('"./testing.js"', '"./testing.mjs"')),
  );
  assert.match((await exportErrors(tarball, root)).join('\n'), /publint: .*testing\.mjs/s);
  assert.match((await usageErrors(tarball, join(folder, 'fresh'), tsc)).join('\n'), /^import: .*testing\.mjs/s);
});

test('declarations that are not where the exports point are found by attw and by the compiler', async () => {
  const { tarball, folder } = await tarballOf('types', (copy) =>
    edit(join(copy, 'package.json'), (text) => text.replace('types/client/src/client.d.ts', 'types/client.d.ts')),
  );
  assert.match((await exportErrors(tarball, root)).join('\n'), /attw: .*"@tailrace\/client"/s);
  assert.match((await usageErrors(tarball, join(folder, 'fresh'), tsc)).join('\n'), /^types: .*TS7016/s);
});

test('what does not belong in a package is reported', async () => {
  const { tarball, folder } = await tarballOf('strangers', (copy) => {
    mkdirSync(join(copy, 'src'));
    writeFileSync(join(copy, 'src/secret.ts'), 'export {};\n');
    edit(
      join(copy, 'client.js'),
      (text) => `import '@tailrace/protocol/path';\n${text}//# sourceMappingURL=client.js.map\n`,
    );
    edit(join(copy, 'react.js'), (text) => `${text}// built in ${root}/packages\n`);
    // The compiler once wrote the declarations of a file in some runs only.
    rmSync(join(copy, 'types/protocol/src/error.d.ts'));
    edit(join(copy, 'README.md'), (text) => `${text}\n[more](../../docs/PROTOCOL.md)\n`);
    edit(join(copy, 'package.json'), (text) =>
      text.replace('{', '{ "scripts": { "postinstall": "true" }, "dependencies": { "@tailrace/protocol": "0.1.0" },'),
    );
  });
  const errors = (await contentErrors(tarball, join(folder, 'unpacked'), root)).join('\n');
  for (const expected of [
    'the package contains src/secret.ts',
    'client.js:1: has an import of a package that is not published',
    'a source map that is not in it',
    'has the path of the repository',
    'has a link to a file that is not in it',
    'types/client/src/client.d.ts: imports types/protocol/src/error.d.ts, which is missing',
    'package.json: has scripts',
    'package.json: has dependencies',
  ]) {
    assert.ok(errors.includes(expected), `${expected} in\n${errors}`);
  }
});

test('a release is of a clean commit, under the tag of its version, once', async () => {
  const repository = join(temp.path, 'repository');
  mkdirSync(repository);
  const git = (...args: string[]) =>
    run('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
      cwd: repository,
      deadlineMs: 10_000,
    });
  await git('init', '--quiet');
  writeFileSync(join(repository, 'a'), '1');
  await git('add', 'a');
  await git('commit', '--quiet', '-m', 'a');
  assert.deepEqual(await repositoryErrors(repository, '1.2.3', undefined), []);
  assert.deepEqual(await repositoryErrors(repository, '1.2.3', 'v1.2.3'), []);
  assert.match(
    (await repositoryErrors(repository, '1.2.3', 'v1.2.4')).join(),
    /expected the tag v1\.2\.3 for version 1\.2\.3, got v1\.2\.4/,
  );

  await git('tag', 'v1.2.3');
  assert.deepEqual(await repositoryErrors(repository, '1.2.3', 'v1.2.3'), []);
  writeFileSync(join(repository, 'a'), '2');
  assert.match((await repositoryErrors(repository, '1.2.3', 'v1.2.3')).join(), /not clean: M a/);
  await git('commit', '--quiet', '-a', '-m', 'b');
  assert.match((await repositoryErrors(repository, '1.2.3', 'v1.2.3')).join(), /v1\.2\.3 is at .* already/);
});
