/**
 * `node test/docs/run.ts laptop|compose|cluster`: runs the commands of the pages as somebody who copies them, and says
 * of each block how long it took. `cluster` wants KUBECONFIG, and that the images are there; it works in a namespace of
 * its own and removes it. Ends with 1 at the first block that fails.
 */
import process from 'node:process';
import { type Setting, settings } from './blocks.ts';
import { runPages } from './run-pages.ts';
import { BlockFault } from './terminals.ts';

const [setting, ...more] = process.argv.slice(2);
if (setting === undefined || more.length > 0 || !(settings as readonly string[]).includes(setting)) {
  process.stderr.write(`${process.argv.slice(2).join(' ') || 'nothing'}: right is one of ${settings.join(', ')}\n`);
  process.exit(2);
}
try {
  const count = await runPages(setting as Setting, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(`${count} blocks did what the pages say\n`);
} catch (thrown) {
  process.stderr.write(`${thrown instanceof BlockFault ? thrown.message : (thrown as Error).stack}\n`);
  process.exitCode = 1;
}
