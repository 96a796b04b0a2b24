/**
 * `node scripts/tool.ts helm`: prints where a program of others is, built first where that is due. For the Makefile and
 * shells.
 */
import { isTailraceError } from '@tailrace/protocol/error';
import { findTool, type Tool } from '@tailrace/testkit/tool';

try {
  process.stdout.write(`${await findTool(process.argv[2] as Tool)}\n`);
} catch (thrown) {
  process.stderr.write(`${isTailraceError(thrown) ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
}
