#!/usr/bin/env node
/**
 * The command line of the gateway. `tailrace-edge plan --sources FILE` prints the read requests of a sources file, and
 * `tailrace-edge --check-config --sources FILE` checks it. Exit code 2: an invalid file or command line.
 */
import process from 'node:process';
import { runCommand } from './cli/command.ts';

const { code, output } = runCommand(process.argv.slice(2));
(code === 0 ? process.stdout : process.stderr).write(output);
process.exitCode = code;
