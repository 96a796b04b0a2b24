import { shown } from '@tailrace/protocol/error';
import { suggestionFor } from './suggestion.ts';

/** What every service's command line can say. */
export interface CommandLine {
  readonly configPath: string | undefined;
  readonly checkConfig: boolean;
  readonly help: boolean;
  /** One sentence for each argument that nobody knows. */
  readonly faults: readonly string[];
}

const known = ['--config', '--check-config', '--help'];

/** `--config <file>`, `--config=<file>`, `--check-config`, `--help`, `-h`; the last of several `--config` wins. Never throws. */
export function commandLineFrom(args: readonly string[]): CommandLine {
  const faults: string[] = [];
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
      else faults.push('--config: the name of a JSON file is missing; --config <file> is right');
    } else {
      const near = suggestionFor(argument, known);
      faults.push(
        `${shown(argument)} on the command line: no such argument; ${near ? `did you mean ${near}?` : `${known.join(', ')} are known`}`,
      );
    }
  }
  return { configPath, checkConfig, help, faults };
}
