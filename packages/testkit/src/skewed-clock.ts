import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { eventually } from './eventually.ts';

/**
 * Returns environment variables for Node.js processes whose wall clocks a test sets; `folder` is for this alone. Their
 * monotonic clocks do not change.
 */
export function skewableClocks(folder: string): Readonly<Record<string, string>> {
  const preload = pathToFileURL(join(import.meta.dirname, 'skewed-clock-preload.ts')).href;
  return { NODE_OPTIONS: `--import=${preload}`, TAILRACE_TEST_CLOCKS: folder };
}

/** Sets the offset of the wall clock of a process. Resolves when it is set. */
export async function setClock(folder: string, pid: number, offsetMs: number): Promise<void> {
  const path = join(folder, String(pid));
  await rm(`${path}.set`, { force: true });
  await writeFile(path, String(offsetMs));
  process.kill(pid, 'SIGUSR2');
  const describe = `the clock of process ${pid} is set`;
  await eventually(async () => (await readFile(`${path}.set`, 'utf8')) === String(offsetMs), {
    deadlineMs: 5_000,
    describe,
  });
}
