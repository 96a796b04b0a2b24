import { readFileSync, statSync } from 'node:fs';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { suggestionFor } from '@tailrace/protocol/suggestion';
import type { z } from 'zod';
import { type CommandLine, commandLineFrom } from './command-line.ts';
import { type ConfigKey, type ConfigSchema, configKeysFrom, variablePrefix } from './config-keys.ts';
import { jsonErrorPlace } from './json-place.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigSources {
  /** `process.env`. */
  readonly env: Environment;
  /** `process.argv.slice(2)`. */
  readonly args: readonly string[];
  /** Prefix of the variables of settings. Default: `TAILRACE_`. */
  readonly prefix?: string;
  /** Variables with the prefix that are no settings; a last `*` matches any suffix. Default: `projectVariables`. */
  readonly ignored?: readonly string[];
  /** Reads the configuration file. Default: from the disk, at most 1 MB. */
  readonly readText?: (path: string) => string;
}

/** Variables of the project's shells, tools and tests, which a service inherits from them. */
export const projectVariables: readonly string[] = ['TAILRACE_TEST_*', 'TAILRACE_CACHE', 'TAILRACE_CI_*'];

const fileBytesMax = 1024 * 1024;

/**
 * Loads the settings of a service. The sources, later ones win: the schema's defaults, the JSON file (`--config <file>`
 * or `TAILRACE_CONFIG`), the environment (`TAILRACE_FLUSH_MS` for `flushMs`; an empty variable counts as not set; a
 * list is separated by commas).
 *
 * Throws `invalid_config` with all errors, one a line: the key, its source, its value (except of a secret), and what is
 * expected. An unknown name is an error, in the file, the environment and the arguments.
 */
export function loadConfig<S extends ConfigSchema>(schema: S, sources: ConfigSources): Readonly<z.output<S>> {
  const prefix = sources.prefix ?? variablePrefix;
  const keys = configKeysFrom(schema, prefix);
  const errors: string[] = [];
  const commandLine = commandLineFrom(sources.args);
  errors.push(...commandLine.errors);
  const values = new Map<string, FoundValue>();
  for (const found of fileValues(
    keys,
    configPath(commandLine, sources.env, prefix),
    sources.readText ?? textFrom,
    errors,
  )) {
    values.set(found.key.name, found);
  }
  for (const found of environmentValues(keys, sources, prefix, errors)) values.set(found.key.name, found);

  const parsed = schema.safeParse(Object.fromEntries([...values].map(([name, found]) => [name, found.value])));
  if (!parsed.success) errors.push(...parsed.error.issues.map((issue) => issueLine(issue, keys, values)));
  if (parsed.success && errors.length === 0) return Object.freeze(parsed.data);
  const count = errors.length === 1 ? '1 error' : `${errors.length} errors`;
  throw new TailraceError(
    'invalid_config',
    `the configuration has ${count}:\n${errors.map((error) => `  ${error}`).join('\n')}`,
  );
}

/** A value and its source, for the messages. */
interface FoundValue {
  readonly key: ConfigKey;
  readonly source: string;
  readonly value: unknown;
}

function configPath(commandLine: CommandLine, env: Environment, prefix: string): string | undefined {
  return commandLine.configPath ?? (env[`${prefix}CONFIG`] || undefined);
}

function textFrom(path: string): string {
  const { size } = statSync(path);
  if (size > fileBytesMax) throw new TailraceError('too_large', `expected at most ${fileBytesMax} bytes, got ${size}`);
  return readFileSync(path, 'utf8');
}

function fileValues(
  keys: readonly ConfigKey[],
  path: string | undefined,
  readText: (path: string) => string,
  errors: string[],
): FoundValue[] {
  if (path === undefined) return [];
  let content: unknown;
  let text = '';
  try {
    text = readText(path);
    content = JSON.parse(text);
  } catch (error) {
    errors.push(`config file ${shown(path)}: ${fileErrorReason(error, text)}`);
    return [];
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    errors.push(
      `config file ${shown(path)}: expected a JSON object {"key": value}, got ${Array.isArray(content) ? 'a list' : shown(content)}`,
    );
    return [];
  }
  const found: FoundValue[] = [];
  for (const [name, value] of Object.entries(content)) {
    const key = keys.find((candidate) => candidate.name === name);
    if (key) found.push({ key, source: path, value });
    else
      errors.push(
        unknownName(
          name,
          `in ${path}`,
          keys.map((candidate) => candidate.name),
        ),
      );
  }
  return found;
}

/** Returns the reason without the parser's message, which quotes the file: the file may have secrets. */
function fileErrorReason(error: unknown, text: string): string {
  if (error instanceof SyntaxError) return `is not JSON at ${jsonErrorPlace(text)}`;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'there is no such file; check --config or TAILRACE_CONFIG';
  return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
}

function environmentValues(
  keys: readonly ConfigKey[],
  sources: ConfigSources,
  prefix: string,
  errors: string[],
): FoundValue[] {
  const byVariable = new Map(keys.map((key) => [key.variable, key]));
  const ignored = sources.ignored ?? projectVariables;
  const found: FoundValue[] = [];
  for (const [variable, text] of Object.entries(sources.env)) {
    if (!variable.startsWith(prefix) || variable === `${prefix}CONFIG` || !text) continue;
    if (isServiceLink(variable, text)) continue;
    const key = byVariable.get(variable);
    if (key) found.push({ key, source: variable, value: valueFromText(key, text) });
    else if (!ignored.some((pattern) => isCovered(variable, pattern))) {
      errors.push(unknownName(variable, 'in the environment', byVariable.keys()));
    }
  }
  return found;
}

function isCovered(variable: string, pattern: string): boolean {
  return pattern.endsWith('*') ? variable.startsWith(pattern.slice(0, -1)) : variable === pattern;
}

/**
 * Returns whether Kubernetes has set the variable: it sets the addresses of a namespace's services in every pod
 * (`TAILRACE_INGEST_PORT=tcp://10.0.0.1:8082`, `TAILRACE_INGEST_SERVICE_HOST` and so on), which for a release named
 * tailrace have the prefix of the settings. See "enableServiceLinks".
 */
function isServiceLink(variable: string, text: string): boolean {
  return (
    /_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?$/.test(variable) ||
    /^(tcp|udp|sctp):\/\/[\d.:[\]a-f]+$/.test(text)
  );
}

/** Converts the text to the key's kind. An invalid text stays a text, which the schema refuses with the key. */
function valueFromText(key: ConfigKey, text: string): unknown {
  const trimmed = text.trim();
  switch (key.kind) {
    case 'number':
      return /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed) : text;
    case 'boolean':
      return trimmed === 'true' || trimmed === '1' ? true : trimmed === 'false' || trimmed === '0' ? false : text;
    case 'list':
      return trimmed
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '');
    case 'text':
      return text;
  }
}

function unknownName(name: string, where: string, known: Iterable<string>): string {
  const names = [...known];
  const near = suggestionFor(name, names);
  return `${name.slice(0, 80)} ${where}: there is no such setting; ${near ? `did you mean ${near}?` : 'see --help for the list'}`;
}

function issueLine(
  issue: z.core.$ZodIssue,
  keys: readonly ConfigKey[],
  values: ReadonlyMap<string, FoundValue>,
): string {
  const key = keys.find((candidate) => candidate.name === issue.path[0]);
  if (!key) return issue.message;
  const found = values.get(key.name);
  // A message of the schema itself is better than one made from the type; one of zod is not.
  const hasOwnMessage = issue.code === 'custom' || !/^(Invalid|Too (small|big)|Unrecognized)/.test(issue.message);
  const message = hasOwnMessage ? issue.message : `expected ${key.expected}${key.unit ? ` (${key.unit})` : ''}`;
  if (!found && key.fallback === undefined)
    return `${key.name}: is missing; set ${key.variable}: ${message} (${key.reason})`;
  const value = key.secret ? '(secret)' : shown(found ? found.value : key.fallback);
  return `${key.name} = ${value} from ${found ? found.source : 'its default'}: ${message}`;
}
