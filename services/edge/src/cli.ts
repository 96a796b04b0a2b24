#!/usr/bin/env node
/**
 * The command line of the gateway: plans and checks a sources file, and helps to write one. `--help` lists the
 * commands.
 * Exit code 1: a device or server failed; 2: an invalid file or command line.
 */
import process from 'node:process';
import { runCommand } from './cli/command.ts';

const { code, output, notes } = await runCommand(process.argv.slice(2));
(code === 0 ? process.stdout : process.stderr).write(output);
if (notes !== undefined) process.stderr.write(notes);
process.exitCode = code;
