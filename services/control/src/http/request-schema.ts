import { shown, TailraceError } from '@tailrace/protocol/error';
import type { FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';

/*
 * Validation of requests by zod, with errors in the form of the project: the field, what was expected, and its value.
 */

/** Of a request. */
const errorsMax = 5;

type Issue = z.core.$ZodIssue;
type RawIssue = z.core.$ZodRawIssue;

const types: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'an integer',
  boolean: 'true, false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};
const parts: Readonly<Record<string, string>> = { querystring: 'query', params: 'path' };

/** Fastify's hook: validates a part of a request. Its error is `invalid_message`. */
export const requestValidator: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart = 'body' }) => {
  return (data: unknown) => {
    const result = schema.safeParse(data, { error: expectationOf });
    if (result.success) return { value: result.data };
    const leaves = result.error.issues.flatMap((issue) => leavesOf(issue, []));
    const texts = leaves.slice(0, errorsMax).map((issue) => textOf(parts[httpPart] ?? httpPart, issue, data));
    const more = leaves.length > errorsMax ? `; and ${leaves.length - errorsMax} more` : '';
    return { error: new TailraceError('invalid_message', texts.join('; ') + more) };
  };
};

/** Returns the query of a route without one: empty, so that a parameter that has no effect is refused. */
export function noQuerySchema(body: unknown): z.ZodType {
  const hasVersion = body instanceof z.ZodObject && 'version' in body.shape;
  return z.strictObject(
    {},
    {
      error: (issue) =>
        hasVersion && issue.code === 'unrecognized_keys' && (issue['keys'] as string[]).includes('version')
          ? 'expected no version here, but in the body'
          : undefined,
    },
  );
}

/** Returns words of which one is expected, as in `a, b or c`. */
export function anyOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** Returns the message of an issue without one of its own. */
function expectationOf(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${anyOf((types[issue.expected] ?? issue.expected).split(', '))}`;
    case 'invalid_value':
      return `expected ${anyOf(issue.values.map(String))}`;
    case 'unrecognized_keys': {
      const names = issue.inst instanceof z.ZodObject ? Object.keys(issue.inst.shape) : [];
      return `expected ${anyOf(names) || 'no fields'}`;
    }
    case 'invalid_union': {
      const { options } = issue as { readonly options?: readonly unknown[] };
      if (options !== undefined) return `expected ${anyOf(options.map(String))}`;
      const branches = (issue.errors ?? []) as readonly (readonly Issue[])[];
      const expected = branches.flatMap(([first]) => expectedWords(first));
      return expected.length === 0 ? undefined : `expected ${anyOf([...new Set(expected)])}`;
    }
    case 'too_big':
    case 'too_small':
      return boundOf(issue);
    default:
      return undefined;
  }
}

/** Returns the words of an expectation, one by one. */
function expectedWords(issue: Issue | undefined): readonly string[] {
  const text = /^expected ([^"]+)$/.exec(issue?.message ?? '')?.[1];
  return text === undefined || issue!.path.length > 0 ? [] : text.split(/, | or /);
}

function boundOf(issue: RawIssue): string {
  const isBig = issue.code === 'too_big';
  const { origin, inclusive, maximum, minimum } = issue as {
    readonly origin?: string;
    readonly inclusive?: boolean;
    readonly maximum?: number;
    readonly minimum?: number;
  };
  const units: Readonly<Record<string, string>> = { string: ' characters', array: ' items', set: ' items' };
  const [closed, open] = isBig ? ['at most', 'less than'] : ['at least', 'more than'];
  return `expected ${inclusive === false ? open : closed} ${isBig ? maximum : minimum}${units[origin ?? ''] ?? ''}`;
}

/** Returns what is wrong in the branch of a union that fits best: the value has its type, and one of its fields not. */
function leavesOf(issue: Issue, above: readonly PropertyKey[]): readonly Issue[] {
  const path = [...above, ...issue.path];
  if (issue.code === 'invalid_key') {
    const message = issue.issues[0]?.message ?? issue.message;
    return [{ ...issue, path, message: message.replace(/^expected/, 'expected as the name') }];
  }
  if (issue.code !== 'invalid_union') return [{ ...issue, path }];
  const inside = issue.errors.find(
    ([first]) => first !== undefined && (first.path.length > 0 || first.code === 'unrecognized_keys'),
  );
  return inside === undefined ? [{ ...issue, path }] : inside.flatMap((each) => leavesOf(each, path));
}

function textOf(part: string, issue: Issue, data: unknown): string {
  const { path, message } = issue;
  const field = path.map(String).join('.') || part;
  const expected = message.replace(/^(Invalid|Too)[^:]*: /, '').replace(/, received .*$/, '');
  if (issue.code === 'unrecognized_keys') return `${field}: ${expected}, got ${issue.keys.map(shown).join(', ')}`;
  if (/\bgot\b/.test(expected)) return `${field}: ${expected}`;
  const value = issue.code === 'invalid_key' ? path.at(-1) : valueAt(data, path);
  return `${field}: ${expected}, got ${value === undefined ? 'none' : shown(value)}`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const name of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Record<PropertyKey, unknown>)[name];
  }
  return at;
}
