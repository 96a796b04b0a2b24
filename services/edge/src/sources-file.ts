import { readFileSync, statSync } from 'node:fs';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';
import { type CommandDefinition, commandSchema } from './commands/command-definition.ts';
import { type ModbusSource, modbusSourceFrom, modbusSourceSchema, type OnSourceError } from './modbus/modbus-source.ts';
import { type OpcuaSource, opcuaSourceFrom, opcuaSourceSchema } from './opcua/opcua-source.ts';
import { type Rule, ruleSchema } from './rules/rule.ts';
import type { Value } from './sample.ts';
import type { SourceTag } from './source.ts';
import { writeRefusal } from './write-bounds.ts';

/** An entry of the sources file: its key `modbus` or `opcua` shows its protocol. */
export type SourceConfig = ModbusSource | OpcuaSource;

/** What the gateway reads and writes, from the sources file. */
export interface Sources {
  readonly sources: readonly SourceConfig[];
  readonly rules: readonly Rule[];
  readonly commands: readonly CommandDefinition[];
}

export const sourcesMax = 64;
export const tagsMax = 50_000;
const rulesMax = 10_000;
const commandsMax = 10_000;
const fileBytesMax = 4 * 1024 * 1024;
/** Errors of one file that are reported. */
const errorsMax = 20;

/** By the key of the protocol, so that the errors of a source are those of its own. */
const sourceSchema = z.unknown().transform((source, { issues }) => {
  const isOpcua = typeof source === 'object' && source !== null && 'opcua' in source;
  const parsed = isOpcua ? opcuaSourceSchema.safeParse(source) : modbusSourceSchema.safeParse(source);
  if (parsed.success) return parsed.data;
  issues.push(...(parsed.error.issues as typeof issues));
  return z.NEVER;
});

const fileSchema = z.strictObject({
  sources: z.array(sourceSchema).min(1).max(sourcesMax),
  rules: z.array(ruleSchema).max(rulesMax).default([]),
  commands: z.array(commandSchema).max(commandsMax).default([]),
});

/**
 * Parses the sources file. Throws `invalid_config` with its errors, one a line: the path of the field, what was
 * expected, and the value. Unknown keys are errors.
 */
export function sourcesFrom(text: string): Sources {
  if (text.length > fileBytesMax) throw invalid([`expected at most ${fileBytesMax} bytes, got ${text.length}`]);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (thrown) {
    const place = /\(?(line \d+ column \d+)\)?/.exec(String(thrown))?.[1];
    throw invalid([`expected JSON, got a text that is none${place === undefined ? '' : ` at ${place}`}`]);
  }
  const parsed = fileSchema.safeParse(content);
  if (!parsed.success) throw invalid(parsed.error.issues.map((issue) => issueLine(issue, content)));
  const errors: string[] = [];
  const sources = parsed.data.sources.map((source, index) =>
    sourceFrom(source, (path, message) => errors.push(`${pathText(['sources', index, ...path])}: ${message}`)),
  );
  const { rules, commands } = parsed.data;
  errors.push(...commonErrors(sources), ...referenceErrors(sources, rules, commands));
  if (errors.length > 0) throw invalid(errors);
  return { sources, rules, commands };
}

/** Reads and parses the sources file. Throws `invalid_config`, also if it cannot be read. */
export function readSourcesFile(path: string): Sources {
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > fileBytesMax) throw invalid([`expected at most ${fileBytesMax} bytes, got ${size}`]);
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    if (thrown instanceof TailraceError) throw thrown;
    throw invalid([`cannot be read: ${(thrown as Error).message}`]);
  }
  return sourcesFrom(text);
}

function sourceFrom(source: z.output<typeof sourceSchema>, onError: OnSourceError): SourceConfig {
  return 'opcua' in source ? opcuaSourceFrom(source, onError) : modbusSourceFrom(source, onError);
}

function commonErrors(sources: readonly SourceConfig[]): string[] {
  const errors: string[] = [];
  const names = new Set<string>();
  const tags = new Set<string>();
  let count = 0;
  for (const [index, source] of sources.entries()) {
    if (names.has(source.name))
      errors.push(`sources[${index}].name: expected each name once, got ${source.name} again`);
    names.add(source.name);
    for (const { device, tag } of source.tags) {
      const name = `${device} ${tag}`;
      if (tags.has(name))
        errors.push(`sources[${index}]: expected each tag of a device once, got ${shown(name)} again`);
      tags.add(name);
    }
    count += source.tags.length;
  }
  if (count > tagsMax) errors.push(`sources: expected at most ${tagsMax} tags, got ${count}`);
  return errors;
}

/** Returns the errors of rules and commands that name tags that do not exist, or values that must not be written. */
function referenceErrors(
  sources: readonly SourceConfig[],
  rules: readonly Rule[],
  commands: readonly CommandDefinition[],
): string[] {
  const tags = new Map<string, SourceTag>();
  for (const source of sources) for (const tag of source.tags) tags.set(`${tag.device} ${tag.tag}`, tag);
  const errors: string[] = [];
  const assertKnown = (place: string, device: string, tag: string) => {
    if (!tags.has(`${device} ${tag}`))
      errors.push(`${place}: expected a tag of a source, got ${shown(`${device} ${tag}`)}`);
  };
  const assertWrite = (place: string, device: string, tag: string, value: Value) => {
    const found = tags.get(`${device} ${tag}`);
    const refusal = found === undefined ? undefined : writeRefusal(found.write, value);
    assertKnown(place, device, tag);
    if (refusal !== undefined) errors.push(`${place}: ${refusal}`);
  };
  for (const [index, { when, actions }] of rules.entries()) {
    assertKnown(`rules[${index}].when`, when.device, when.tag);
    for (const [at, action] of actions.entries()) {
      if (!('write' in action)) continue;
      const { device, tag, value } = action.write;
      assertWrite(`rules[${index}].actions[${at}].write`, device, tag, value);
    }
  }
  const names = new Set<string>();
  for (const [index, { device, name, set, confirm }] of commands.entries()) {
    const place = `commands[${index}]`;
    if (names.has(`${device} ${name}`)) errors.push(`${place}.name: expected each name once, got ${shown(name)} again`);
    names.add(`${device} ${name}`);
    for (const [tag, value] of Object.entries(set)) assertWrite(`${place}.set`, device, tag, value);
    if (confirm !== undefined) assertKnown(`${place}.confirm`, device, confirm.tag);
  }
  return errors;
}

function issueLine(issue: z.core.$ZodIssue, content: unknown): string {
  // Of a union, the branch that came furthest is the one that was meant.
  if (issue.code === 'invalid_union') {
    const [first] = issue.errors
      .flat()
      .toSorted((a, b) => b.path.length - a.path.length || branchOrder(a) - branchOrder(b));
    if (first !== undefined) return issueLine({ ...first, path: [...issue.path, ...first.path] }, content);
  }
  const path = pathText(issue.path);
  if (issue.code === 'unrecognized_keys') return `${path}: expected no key ${issue.keys.map(shown).join(', ')}`;
  return `${path}: ${expectedOf(issue)}, got ${shownAt(content, issue.path)}`;
}

function branchOrder(issue: z.core.$ZodIssue): number {
  return issue.code === 'unrecognized_keys' ? 1 : 0;
}

function expectedOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${issue.expected}`;
    case 'too_small':
      return `expected ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${sizeUnit(issue.origin)}`;
    case 'too_big':
      return `expected at most ${issue.maximum}${sizeUnit(issue.origin)}`;
    case 'invalid_value':
      return `expected one of ${issue.values.map((value) => String(value)).join(', ')}`;
    default:
      return issue.message.replace(/^(?!expected )/, 'expected another value: ');
  }
}

function sizeUnit(origin: string): string {
  return origin === 'string' ? ' characters' : origin === 'array' ? ' items' : '';
}

function shownAt(content: unknown, path: readonly PropertyKey[]): string {
  let value: unknown = content;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  return value === undefined ? 'none' : shown(value);
}

function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const key of path) text += typeof key === 'number' ? `[${key}]` : `${text === '' ? '' : '.'}${String(key)}`;
  return text === '' ? 'the file' : text;
}

function invalid(errors: readonly string[]): TailraceError {
  const rest = errors.length > errorsMax ? [`and ${errors.length - errorsMax} more`] : [];
  return new TailraceError('invalid_config', ['sources file:', ...errors.slice(0, errorsMax), ...rest].join('\n  '));
}
