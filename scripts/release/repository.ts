/** What of the repository itself speaks against a release, each fault as one sentence. */
import { run } from '@tailrace/testkit/run';

const deadlineMs = 30_000;

export function tagFor(version: string): string {
  return `v${version}`;
}

/** `tag`: the one that is being released, where there is one. */
export async function repositoryFaults(root: string, version: string, tag: string | undefined): Promise<string[]> {
  const git = async (...args: readonly string[]) => (await run('git', args, { cwd: root, deadlineMs })).stdout.trim();
  const faults: string[] = [];
  const changed = await git('status', '--porcelain');
  if (changed !== '') {
    const files = changed.split('\n');
    faults.push(
      `the tree is not clean: ${files.slice(0, 5).join(', ')}${files.length > 5 ? ` and ${files.length - 5} more` : ''}; a release is made of a commit`,
    );
  }
  const wanted = tagFor(version);
  if (tag !== undefined && tag !== wanted) faults.push(`the tag is ${tag}; ${wanted} is right for version ${version}`);
  const head = await git('rev-parse', 'HEAD');
  const tagged = await git('rev-parse', '--quiet', '--verify', `refs/tags/${wanted}^{commit}`).catch(() => undefined);
  if (tagged !== undefined && tagged !== head) {
    faults.push(
      `${wanted} is at ${tagged.slice(0, 12)} already, and this is ${head.slice(0, 12)}: a version is released once; take the next`,
    );
  }
  return faults;
}
