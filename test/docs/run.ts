/**
 * `node test/docs/run.ts laptop|compose|cluster`: runs the commands of the pages like a reader who copies them, and
 * prints the time of each block. `cluster` needs KUBECONFIG and the images; it uses a namespace of its own and removes
 * it. Exits with 1 at the first block that fails.
 */
import process from 'node:process';
import { type Setting, settings } from './blocks.ts';
import { runPages } from './run-pages.ts';
import { BlockError } from './terminals.ts';

const [setting, ...more] = process.argv.slice(2);
if (setting === undefined || more.length > 0 || !(settings as readonly string[]).includes(setting)) {
  process.stderr.write(
    `setting: expected one of ${settings.join(', ')}, got ${process.argv.slice(2).join(' ') || 'none'}\n`,
  );
  process.exit(2);
}
try {
  const count = await runPages(setting as Setting, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(`${count} blocks passed\n`);
} catch (thrown) {
  process.stderr.write(`${thrown instanceof BlockError ? thrown.message : (thrown as Error).stack}\n`);
  process.exitCode = 1;
}
