import { readFileSync, statSync } from 'node:fs';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';
import { type ModbusSource, modbusSourceFrom, modbusSourceSchema } from './modbus/modbus-source.ts';

/** What the gateway reads, from the sources file. */
export interface Sources {
  readonly sources: readonly ModbusSource[];
}

export const sourcesMax = 64;
export const tagsMax = 50_000;
const fileBytesMax = 4 * 1024 * 1024;
/** Errors of one file that are reported. */
const errorsMax = 20;

const fileSchema = z.strictObject({ sources: z.array(modbusSourceSchema).min(1).max(sourcesMax) });

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
    modbusSourceFrom(source, (path, message) => errors.push(`${pathText(['sources', index, ...path])}: ${message}`)),
  );
  errors.push(...commonErrors(sources));
  if (errors.length > 0) throw invalid(errors);
  return { sources };
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

function commonErrors(sources: readonly ModbusSource[]): string[] {
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
