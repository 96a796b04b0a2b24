/**
 * `make tools`: installs the programs that the tests need and this machine lacks, by apt or Homebrew. On a terminal it
 * asks first. What cannot be installed is named; the tests that need it fail and name it again.
 */
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import { isTailraceError } from '@tailrace/protocol/error';
import { findChromium } from '@tailrace/testkit/chromium';
import { findJava } from '@tailrace/testkit/java';
import { findPython } from '@tailrace/testkit/python';
import { findInstalled, type Tool, tools } from '@tailrace/testkit/tool';
import { installTools } from './tool-installer.ts';

await installTools({
  missing: missingTools,
  isInstalled: async (program) => (await findInstalled(program)) !== undefined,
  isRoot: process.getuid?.() === 0,
  hasUser: process.stdin.isTTY === true && !process.env['CI'],
  async ask(question) {
    const terminal = createInterface({ input: process.stdin, output: process.stdout });
    const answer = await terminal.question(question);
    terminal.close();
    return answer;
  },
  run: (command, args) => spawnSync(command, args, { stdio: 'inherit' }).status === 0,
  succeeds: (command, args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0,
  print: (text) => process.stdout.write(`${text}\n`),
});

/** Returns the missing programs, except those that Go builds when a test first needs them. */
async function missingTools(): Promise<Tool[]> {
  const names = (Object.keys(tools) as Tool[]).filter((name) => 'apt' in tools[name]);
  const found = await Promise.all(names.map(isPresent));
  return names.filter((_, index) => !found[index]);
}

async function isPresent(name: Tool): Promise<boolean> {
  try {
    if (name === 'java') return Boolean(await findJava(process.env));
    if (name === 'chromium') return Boolean(await findChromium());
    if (name === 'python3') return Boolean(await findPython());
  } catch (error) {
    if (isTailraceError(error)) return false;
    throw error;
  }
  return (await findInstalled(name)) !== undefined;
}
