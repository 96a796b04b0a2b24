/**
 * `node scripts/tool.ts helm`: prints the path of a tool, and builds it first where necessary. For the Makefile and
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
