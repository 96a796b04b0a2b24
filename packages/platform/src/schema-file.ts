import { readFileSync, statSync } from 'node:fs';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { suggestionFor } from '@tailrace/protocol/suggestion';
import type { z } from 'zod';
import { jsonErrorPlace } from './json-place.ts';

const fileBytesMax = 4 * 1_024 * 1_024;
/** Errors of one file that are reported. */
const errorsMax = 20;

/** Adds an error of a file: the path of the field in it, and what was expected. */
export type AddError = (path: readonly PropertyKey[], message: string) => void;

/**
 * Parses a JSON file of settings by its schema. `name`: of the file, for errors. `check`: adds the errors that the
 * schema does not find. Throws `invalid_config` with all errors, one a line: the path of the field, what was expected,
 * and the value.
 */
export function parseSchemaFile<S extends z.ZodType>(
  name: string,
  schema: S,
  text: string,
  check: (content: z.output<S>, add: AddError) => void = () => {},
): z.output<S> {
  if (text.length > fileBytesMax) throw invalid(name, [`expected at most ${fileBytesMax} bytes, got ${text.length}`]);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    // Without the parser's message, which quotes the file: the file may have secrets.
    throw invalid(name, [`expected JSON, got a text that is none at ${jsonErrorPlace(text)}`]);
  }
  const parsed = schema.safeParse(content, unknownKeys);
  if (!parsed.success) {
    throw invalid(
      name,
      parsed.error.issues.map((issue) => issueLine(issue, content)),
    );
  }
  const errors: string[] = [];
  check(parsed.data, (path, message) => errors.push(`${pathText(path)}: ${message}`));
  if (errors.length > 0) throw invalid(name, errors);
  return parsed.data;
}

/** Options of a parse by a schema: the message of an unknown key has the known key that was probably meant. */
export const unknownKeys: z.core.ParseContext<z.core.$ZodIssue> = {
  error({ code, keys, inst }) {
    if (code !== 'unrecognized_keys') return undefined;
    const known = Object.keys((inst as z.ZodObject | undefined)?.shape ?? {});
    return (keys as readonly string[]).map((key) => unknownKeyText(key, known)).join('; ');
  },
};

function unknownKeyText(key: string, known: readonly string[]): string {
  const near = suggestionFor(key, known);
  const hint = near === undefined ? `expected one of ${known.join(', ')}` : `did you mean ${near}?`;
  return `expected no key ${shown(key)}; ${hint}`;
}

/** Returns the text of a file of settings. Throws `invalid_config` if it cannot be read. */
export function schemaFileText(name: string, path: string): string {
  try {
    const { size } = statSync(path);
    if (size <= fileBytesMax) return readFileSync(path, 'utf8');
    throw invalid(name, [`expected at most ${fileBytesMax} bytes, got ${size}`]);
  } catch (thrown) {
    if (thrown instanceof TailraceError) throw thrown;
    throw invalid(name, [`cannot be read: ${(thrown as Error).message}`]);
  }
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
  if (issue.code === 'unrecognized_keys') return `${path}: ${issue.message}`;
  const value = valueAt(content, issue.path);
  return `${path}: ${expectedOf(issue)}, got ${value === undefined ? 'none' : shown(value)}`;
}

/** Of branches that came equally far, the one that knows all keys. */
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
      return `expected one of ${issue.values.map(String).join(', ')}`;
    default:
      return issue.message.replace(/^(?!expected )/, 'expected another value: ');
  }
}

function sizeUnit(origin: string): string {
  return origin === 'string' ? ' characters' : origin === 'array' ? ' items' : '';
}

function valueAt(content: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = content;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  return value;
}

function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const key of path) text += typeof key === 'number' ? `[${key}]` : `${text === '' ? '' : '.'}${String(key)}`;
  return text === '' ? 'the file' : text;
}

function invalid(name: string, errors: readonly string[]): TailraceError {
  const rest = errors.length > errorsMax ? [`and ${errors.length - errorsMax} more`] : [];
  return new TailraceError('invalid_config', [`${name}:`, ...errors.slice(0, errorsMax), ...rest].join('\n  '));
}
