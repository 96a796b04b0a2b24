import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Block, blocksOf, type RunDirective, type Setting } from './blocks.ts';

export const root = resolve(import.meta.dirname, '../..');

/** The pages whose commands are run, in this order. */
export const pages = [
  'README.md',
  'docs/OPERATIONS.md',
  'docs/INTEGRATE.md',
  'docs/EDGE.md',
  'docs/OPCUA.md',
  'docs/CONTROL.md',
  'docs/NOTIFICATIONS.md',
];

/** In the order of the pages. */
export function blocksFor(setting: Setting): { block: Block; directive: RunDirective }[] {
  return pages
    .flatMap((page) => blocksOf(page, readFileSync(join(root, page), 'utf8')).blocks)
    .flatMap((block) => (block.directive.setting === setting ? [{ block, directive: block.directive }] : []));
}

/** The commands of a page for the laptop, without those that start the demo: for a test that has started it. */
export function blocksOfDemo(page: string): { block: Block; directive: RunDirective }[] {
  return blocksFor('laptop').filter(({ block }) => block.page === page && !/\bmake demo$/.test(block.text.trim()));
}

/** Copies the tree as a clone has it, with uncommitted files, without ignored ones. */
export function copyOfTheTree(folder: string): void {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: root,
    maxBuffer: 64e6,
  });
  for (const file of listed.toString().split('\0')) {
    if (file === '') continue;
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    // A file that was just deleted is still listed.
    try {
      cpSync(join(root, file), join(folder, file), { verbatimSymlinks: true });
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
    }
  }
}
