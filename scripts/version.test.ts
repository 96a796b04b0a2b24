import assert from 'node:assert/strict';
import { cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { changelogEntries, changelogErrors } from './changelog.ts';
import { projectVersion, spreadVersion, versionErrors, versionPattern } from './version-places.ts';

const root = dirname(import.meta.dirname);

/** Copies the files of this repository that contain a version, and adds a chart and a compose file that do. */
async function copyOfTheRepository(t: { after(end: () => Promise<void>): void }): Promise<string> {
  const temp = await createTempDir('version');
  t.after(() => temp.remove());
  const files = ['package.json', 'package-lock.json', ...globSync('{packages,services}/*/package.json', { cwd: root })];
  for (const file of [...files, 'loadtest/package.json', 'test/package.json']) {
    mkdirSync(join(temp.path, dirname(file)), { recursive: true });
    cpSync(join(root, file), join(temp.path, file));
  }
  const version = projectVersion(root);
  write(
    temp.path,
    'helm/tailrace/Chart.yaml',
    `apiVersion: v2\nname: tailrace\nversion: ${version}\nappVersion: "${version}"\ndependencies:\n  - version: 9.9.9\n`,
  );
  write(
    temp.path,
    'deploy/compose.yaml',
    `image: \${REGISTRY:-}tailrace/fanout:${version}\nother: \${TAILRACE_VERSION:-${version}}\nkafka: apache/kafka:4.1.1\n`,
  );
  return temp.path;
}

function write(folder: string, file: string, text: string): void {
  mkdirSync(join(folder, dirname(file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

const read = (folder: string, file: string) => readFileSync(join(folder, file), 'utf8');

test('the version of package.json is spread to every place that npm does not know, and to nothing else', async (t) => {
  const copy = await copyOfTheRepository(t);
  assert.deepEqual(versionErrors(copy), []);
  assert.deepEqual(spreadVersion(copy), []);
  write(copy, 'package.json', read(copy, 'package.json').replace(/^( {2}"version": ")[^"]*/m, '$17.8.9-rc.1'));
  assert.equal(projectVersion(copy), '7.8.9-rc.1');
  assert.deepEqual(spreadVersion(copy), ['deploy/compose.yaml', 'helm/tailrace/Chart.yaml']);
  assert.match(
    read(copy, 'helm/tailrace/Chart.yaml'),
    /version: 7\.8\.9-rc\.1\nappVersion: "7\.8\.9-rc\.1"\ndependencies:\n {2}- version: 9\.9\.9/,
  );
  assert.match(
    read(copy, 'deploy/compose.yaml'),
    /fanout:7\.8\.9-rc\.1\n.*:-7\.8\.9-rc\.1}\nkafka: apache\/kafka:4\.1\.1/,
  );
  // npm's own part has not run here.
  assert.ok(versionErrors(copy).some((error) => error.startsWith('packages/client/package.json:')));
});

test('packages of the project take each other at any version, so that npm alone can set it', () => {
  for (const file of globSync('{packages,services}/*/package.json', { cwd: root }))
    assert.doesNotMatch(read(root, file), /"@tailrace\/\w+": "(?!\*")/, file);
});

test('a place that has another version, or none, is reported with its line', async (t) => {
  const copy = await copyOfTheRepository(t);
  const version = projectVersion(copy);
  write(copy, 'helm/tailrace/Chart.yaml', 'name: tailrace\nversion: 0.0.7\nappVersion: "0.0.7"\n');
  write(copy, 'packages/client/package.json', '{}\n');
  write(
    copy,
    'package-lock.json',
    read(copy, 'package-lock.json').replace(/("services\/fanout": \{[^}]*?"version": ")[^"]*/, '$10.0.5'),
  );
  const errors = versionErrors(copy);
  assert.ok(errors.includes(`helm/tailrace/Chart.yaml:2: expected ${version}, got 0.0.7`), errors.join('\n'));
  assert.ok(errors.includes(`helm/tailrace/Chart.yaml:3: expected ${version}, got 0.0.7`));
  assert.ok(errors.includes(`packages/client/package.json: expected ${version}, got no version`));
  assert.ok(errors.includes(`package-lock.json: services/fanout: expected ${version}, got 0.0.5`));
});

test('a version is three numbers and an optional prerelease', () => {
  for (const right of ['0.1.0', '10.20.30', '1.0.0-rc.1']) assert.match(right, versionPattern);
  for (const wrong of ['1.0', 'v1.0.0', '01.0.0', '1.0.0+build', '1.0.0-', ''])
    assert.doesNotMatch(wrong, versionPattern);
});

test('the changelog has a dated entry for the version, with content, before all older ones', () => {
  const right =
    '# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- More.\n\n## [0.1.0] - 2026-11-21\n\n- All.\n';
  assert.deepEqual(
    changelogEntries(right).map(({ version, date }) => [version, date]),
    [
      ['Unreleased', undefined],
      ['0.2.0', '2026-12-01'],
      ['0.1.0', '2026-11-21'],
    ],
  );
  assert.deepEqual(changelogErrors(right, '0.2.0'), []);
  assert.match(changelogErrors(right, '0.3.0').join(), /no entry for 0\.3\.0/);
  assert.match(changelogErrors(right, '0.1.0').join(), /as its first version/);
  assert.match(changelogErrors('## [0.1.0]\n\n- All.\n', '0.1.0').join(), /got none/);
  assert.match(changelogErrors('## [0.1.0] - 2026-13-41\n\n- All.\n', '0.1.0').join(), /got 2026-13-41/);
  assert.match(changelogErrors('## [0.1.0] - 2026-11-21\n\nsoon\n', '0.1.0').join(), /at least one line/);
});
