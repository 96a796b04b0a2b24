import { shown } from '@tailrace/protocol/error';
import { suggestionFor } from '@tailrace/protocol/suggestion';

/** The command line of every service. */
export interface CommandLine {
  readonly configPath: string | undefined;
  readonly checkConfig: boolean;
  readonly help: boolean;
  /** A message for each invalid argument. */
  readonly errors: readonly string[];
}

const known = ['--config', '--check-config', '--help'];

/**
 * Parses `--config <file>`, `--config=<file>`, `--check-config`, `--help` and `-h`; the last of several `--config`
 * wins. Never throws.
 */
export function commandLineFrom(args: readonly string[]): CommandLine {
  const errors: string[] = [];
  let configPath: string | undefined;
  let checkConfig = false;
  let help = false;
  for (let index = 0; index < args.length; index++) {
    const argument = args[index]!;
    if (argument === '--check-config') checkConfig = true;
    else if (argument === '--help' || argument === '-h') help = true;
    else if (argument === '--config' || argument.startsWith('--config=')) {
      const path = argument === '--config' ? args[++index] : argument.slice('--config='.length);
      if (path && !path.startsWith('--')) configPath = path;
      else errors.push('--config: expected --config <file> with the name of a JSON file, got no name');
    } else {
      const near = suggestionFor(argument, known);
      errors.push(
        `${shown(argument)} on the command line: no such argument; ${near ? `did you mean ${near}?` : `expected ${known.join(', ')}`}`,
      );
    }
  }
  return { configPath, checkConfig, help, errors };
}
