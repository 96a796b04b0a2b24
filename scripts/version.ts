/**
 * `make version VERSION=0.2.0` sets the version: npm in the workspaces, `node scripts/version.ts --spread` everywhere
 * else. `--check` fails where a place differs from package.json, or the changelog has no entry for it. `--notes` prints
 * that entry; without an argument it prints the version.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { changelogEntries, changelogErrors } from './changelog.ts';
import { projectVersion, spreadVersion, versionErrors } from './version-places.ts';

const root = dirname(import.meta.dirname);
const [argument, ...more] = process.argv.slice(2);

if (more.length > 0) fail(`${more.join(' ')}: expected one argument at most, --spread, --check or --notes`);
if (argument === undefined) process.stdout.write(`${projectVersion(root)}\n`);
else if (argument === '--check') check();
else if (argument === '--notes') notes();
else if (argument === '--spread') spread();
else fail(`${argument}: expected --spread, --check or --notes`);

function check(): void {
  const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
  const errors = [...versionErrors(root), ...changelogErrors(changelog, projectVersion(root))];
  if (errors.length > 0)
    fail(
      `${errors.join('\n')}\n\`make version VERSION=${projectVersion(root)}\` writes it everywhere except the changelog`,
    );
}

function notes(): void {
  const entries = changelogEntries(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'));
  const entry = entries.find(({ version }) => version === projectVersion(root));
  if (!entry) fail(`CHANGELOG.md has no entry for ${projectVersion(root)}`);
  process.stdout.write(`${entry.text}\n`);
}

function spread(): void {
  const changed = spreadVersion(root);
  process.stdout.write(
    `${projectVersion(root)} in ${[...changed, 'the workspaces and the lock file'].join(', ')}\nAdd its changes to CHANGELOG.md.\n`,
  );
}

function fail(text: string): never {
  process.stderr.write(`version: ${text}\n`);
  process.exit(1);
}
