import { run } from '@tailrace/testkit/run';

const deadlineMs = 30_000;

export function tagFor(version: string): string {
  return `v${version}`;
}

/**
 * Returns why the repository cannot be released as it is, one sentence each. `tag`: the one to release, where there is
 * one.
 */
export async function repositoryErrors(root: string, version: string, tag: string | undefined): Promise<string[]> {
  const git = async (...args: readonly string[]) => (await run('git', args, { cwd: root, deadlineMs })).stdout.trim();
  const errors: string[] = [];
  const changed = await git('status', '--porcelain');
  if (changed !== '') {
    const files = changed.split('\n');
    errors.push(
      `the tree is not clean: ${files.slice(0, 5).join(', ')}${files.length > 5 ? ` and ${files.length - 5} more` : ''}; commit or remove them`,
    );
  }
  const wanted = tagFor(version);
  if (tag !== undefined && tag !== wanted) errors.push(`expected the tag ${wanted} for version ${version}, got ${tag}`);
  const head = await git('rev-parse', 'HEAD');
  const tagged = await git('rev-parse', '--quiet', '--verify', `refs/tags/${wanted}^{commit}`).catch(() => undefined);
  if (tagged !== undefined && tagged !== head) {
    errors.push(
      `${wanted} is at ${tagged.slice(0, 12)} already, and this is ${head.slice(0, 12)}: a version is released once; use the next one`,
    );
  }
  return errors;
}
