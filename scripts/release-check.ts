/**
 * `make release-check`: checks whether this commit can be released. Prints a line per check, and fails if one fails.
 * `--tag v0.1.0`: the tag to release; `--tarball file`: keeps the packed client there, to publish the bytes that were
 * checked; `--repository`: see build-client.ts.
 */
import { copyFileSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { run, whyItFailed } from '@tailrace/testkit/run';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { changelogErrors } from './changelog.ts';
import { contentErrors, exportErrors, packed, usageErrors } from './release/package.ts';
import { repositoryErrors, tagFor } from './release/repository.ts';
import { projectVersion, versionErrors } from './version-places.ts';

const root = dirname(import.meta.dirname);
const { values } = parseArgs({
  options: { tag: { type: 'string' }, tarball: { type: 'string' }, repository: { type: 'string' } },
});
const version = projectVersion(root);
const temp = await createTempDir('release');
let failed = 0;

try {
  await check('version: the same everywhere', async () => versionErrors(root));
  await check('changelog: has this version', async () =>
    changelogErrors(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'), version),
  );
  await check(`repository: clean, to be tagged ${tagFor(version)}`, () => repositoryErrors(root, version, values.tag));

  let tarball = '';
  await check('client: builds and packs', async () => {
    const folder = join(temp.path, 'client');
    const from = values.repository === undefined ? [] : ['--repository', values.repository];
    await run(process.execPath, [join(root, 'scripts/build-client.ts'), '--out', folder, ...from], {
      cwd: root,
      deadlineMs: 120_000,
    });
    tarball = await packed(folder, join(temp.path, 'packed'));
    return [];
  });
  if (tarball !== '') {
    await check('client: contains only what belongs in it', () =>
      contentErrors(tarball, join(temp.path, 'unpacked'), root),
    );
    await check('client: exports resolve (publint, attw)', () => exportErrors(tarball, root));
    await check('client: installs, imports and type-checks in a fresh folder', () =>
      usageErrors(tarball, join(temp.path, 'fresh'), join(root, 'node_modules/typescript/bin/tsc')),
    );
    if (values.tarball !== undefined && failed === 0) copyFileSync(tarball, resolve(values.tarball));
  }
} finally {
  await temp.remove();
}
process.stdout.write(
  failed === 0 ? `${version} can be released\n` : `${version} cannot be released: ${failed} of the checks failed\n`,
);
process.exitCode = failed === 0 ? 0 : 1;

async function check(what: string, errorsOf: () => Promise<string[]>): Promise<void> {
  const errors = await errorsOf().catch((thrown: unknown) => [whyItFailed(thrown)]);
  process.stdout.write(`${errors.length === 0 ? 'ok  ' : 'FAIL'}  ${what}\n`);
  for (const error of errors) process.stdout.write(`      ${error.replaceAll('\n', '\n      ')}\n`);
  if (errors.length > 0) failed += 1;
}
