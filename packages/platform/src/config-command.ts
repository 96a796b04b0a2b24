import { TailraceError } from '@tailrace/protocol/error';
import type { z } from 'zod';
import { commandLineFrom } from './command-line.ts';
import { type ConfigSources, loadConfig } from './config.ts';
import { configHelp, configListing } from './config-docs.ts';
import type { ConfigSchema } from './config-keys.ts';

/** The result of a service's command line: settings to run with, or a text to print and an exit code. */
export type ConfigCommand<C> =
  | { readonly kind: 'run'; readonly config: Readonly<C> }
  | { readonly kind: 'exit'; readonly code: 0 | 1; readonly output: string };

/**
 * Reads the command line and the settings. `--help` → the table, code 0. `--check-config` → the effective settings with
 * secrets masked, and the text of `check`, code 0. Errors → all of them, code 1. Otherwise → run.
 *
 * `check`: reads the files that the settings name, and returns what `--check-config` prints of them. Throws
 * `invalid_config`. A start has it, too.
 */
export function configCommandFrom<S extends ConfigSchema>(
  serviceName: string,
  schema: S,
  sources: ConfigSources,
  check: (config: Readonly<z.output<S>>) => string = () => '',
): ConfigCommand<z.output<S>> {
  const commandLine = commandLineFrom(sources.args);
  if (commandLine.help) return { kind: 'exit', code: 0, output: configHelp(serviceName, schema, sources.prefix) };
  let config: Readonly<z.output<S>>;
  try {
    config = loadConfig(schema, sources);
    // Also for a start: a file with errors is reported like a setting, in lines for people.
    const checked = check(config);
    if (commandLine.checkConfig) {
      const more = checked === '' ? '' : `\n${checked}`;
      return { kind: 'exit', code: 0, output: `${configListing(schema, config)}\n${more}` };
    }
  } catch (error) {
    if (!(error instanceof TailraceError) || error.code !== 'invalid_config') throw error;
    return { kind: 'exit', code: 1, output: `${serviceName}: ${error.message}\n` };
  }
  return { kind: 'run', config };
}
