import { readFileSync, statSync } from 'node:fs';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { z } from 'zod';
import { type CommandLine, commandLineFrom } from './command-line.ts';
import { type ConfigKey, type ConfigSchema, configKeysFrom, variablePrefix } from './config-keys.ts';
import { suggestionFor } from './suggestion.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigSources {
  /** `process.env`. */
  readonly env: Environment;
  /** `process.argv.slice(2)`. */
  readonly args: readonly string[];
  /** What the variables of settings begin with. Default: `TAILRACE_`. */
  readonly prefix?: string;
  /** Variables with the prefix that are no setting of any service; a last `*` stands for any end. Default: `projectVariables`. */
  readonly ignored?: readonly string[];
  /** Reads the configuration file. Default: from the disk, at most 1 MB. */
  readonly readText?: (path: string) => string;
}

/** Variables of the project's shells, tools and tests, which a service started from there inherits. */
export const projectVariables: readonly string[] = ['TAILRACE_TEST_*', 'TAILRACE_CACHE', 'TAILRACE_CI_*'];

const fileBytesMax = 1024 * 1024;

/**
 * The settings of a service. Later wins: the schema's defaults, the JSON file (`--config <file>` or `TAILRACE_CONFIG`), the environment
 * (`TAILRACE_FLUSH_MS` for `flushMs`; an empty variable counts as not set; a list is separated by commas).
 *
 * Throws `invalid_config` with every fault there is, one a line: the key, where it came from, its value (not that of a secret), and what
 * would be right. A name that nobody knows is a fault, in the file, the environment and the arguments.
 */
export function loadConfig<S extends ConfigSchema>(schema: S, sources: ConfigSources): Readonly<z.output<S>> {
  const prefix = sources.prefix ?? variablePrefix;
  const keys = configKeysFrom(schema, prefix);
  const faults: string[] = [];
  const commandLine = commandLineFrom(sources.args);
  faults.push(...commandLine.faults);
  const values = new Map<string, FoundValue>();
  for (const found of fileValues(
    keys,
    configPath(commandLine, sources.env, prefix),
    sources.readText ?? textFrom,
    faults,
  )) {
    values.set(found.key.name, found);
  }
  for (const found of environmentValues(keys, sources, prefix, faults)) values.set(found.key.name, found);

  const parsed = schema.safeParse(Object.fromEntries([...values].map(([name, found]) => [name, found.value])));
  if (!parsed.success) faults.push(...parsed.error.issues.map((issue) => issueLine(issue, keys, values)));
  if (parsed.success && faults.length === 0) return Object.freeze(parsed.data);
  const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`;
  throw new TailraceError(
    'invalid_config',
    `the configuration has ${count}:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
  );
}

/** A value and where it came from, for the messages. */
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
  if (size > fileBytesMax)
    throw new TailraceError('too_large', `it has ${size} bytes; at most ${fileBytesMax} are read`);
  return readFileSync(path, 'utf8');
}

function fileValues(
  keys: readonly ConfigKey[],
  path: string | undefined,
  readText: (path: string) => string,
  faults: string[],
): FoundValue[] {
  if (path === undefined) return [];
  let content: unknown;
  try {
    content = JSON.parse(readText(path));
  } catch (error) {
    faults.push(`config file ${shown(path)}: ${fileFault(error)}`);
    return [];
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    faults.push(
      `config file ${shown(path)}: holds ${Array.isArray(content) ? 'a list' : shown(content)}; a JSON object {"key": value} is right`,
    );
    return [];
  }
  const found: FoundValue[] = [];
  for (const [name, value] of Object.entries(content)) {
    const key = keys.find((candidate) => candidate.name === name);
    if (key) found.push({ key, source: path, value });
    else
      faults.push(
        unknownName(
          name,
          `in ${path}`,
          keys.map((candidate) => candidate.name),
        ),
      );
  }
  return found;
}

/** Never the parser's own words: they quote the file, and the file may hold secrets. */
function fileFault(error: unknown): string {
  if (error instanceof SyntaxError) {
    const place = /\(?(line \d+ column \d+)\)?/.exec(error.message)?.[1];
    return `is not JSON${place ? ` at ${place}` : ''}`;
  }
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'there is no such file; check --config or TAILRACE_CONFIG';
  return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
}

function environmentValues(
  keys: readonly ConfigKey[],
  sources: ConfigSources,
  prefix: string,
  faults: string[],
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
      faults.push(unknownName(variable, 'in the environment', byVariable.keys()));
    }
  }
  return found;
}

function isCovered(variable: string, pattern: string): boolean {
  return pattern.endsWith('*') ? variable.startsWith(pattern.slice(0, -1)) : variable === pattern;
}

/**
 * Kubernetes puts the addresses of a namespace's services into every pod (`TAILRACE_INGEST_PORT=tcp://10.0.0.1:8082`,
 * `TAILRACE_INGEST_SERVICE_HOST` and so on), and a release named tailrace makes them look like ours. See "enableServiceLinks".
 */
function isServiceLink(variable: string, text: string): boolean {
  return (
    /_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?$/.test(variable) ||
    /^(tcp|udp|sctp):\/\/[\d.:[\]a-f]+$/.test(text)
  );
}

/** As the key's kind wants it; a text that cannot be that stays a text, and the schema refuses it by name. */
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
  return `${name.slice(0, 80)} ${where}: there is no such setting; ${near ? `did you mean ${near}?` : 'see --help for those there are'}`;
}

function issueLine(
  issue: z.core.$ZodIssue,
  keys: readonly ConfigKey[],
  values: ReadonlyMap<string, FoundValue>,
): string {
  const key = keys.find((candidate) => candidate.name === issue.path[0]);
  if (!key) return issue.message;
  const found = values.get(key.name);
  // What the schema says in its own words tells better than the type what would be right; zod's words do not.
  const ownWords = issue.code === 'custom' || !/^(Invalid|Too (small|big)|Unrecognized)/.test(issue.message);
  const right = ownWords ? issue.message : `${key.expected}${key.unit ? ` (${key.unit})` : ''} is right`;
  if (!found && key.fallback === undefined)
    return `${key.name}: is missing; set ${key.variable}: ${right} (${key.reason})`;
  const value = key.secret ? '(secret)' : shown(found ? found.value : key.fallback);
  return `${key.name} = ${value} from ${found ? found.source : 'its default'}: ${right}`;
}
