import { shown, TailraceError } from './error.ts';
import { isPlainText, utf8Bytes } from './text.ts';

/** Unvalidated fields of a message from the network. */
export type Fields = Readonly<Record<string, unknown>>;

export const idBytesMax = 64;

export function invalidMessage(message: string, cause?: unknown): TailraceError {
  return new TailraceError('invalid_message', message, cause === undefined ? {} : { cause });
}

/** Parses the text, if it has at most `charactersMax` characters. Throws `too_large`, `invalid_message`. */
export function jsonFrom(text: string, charactersMax: number): unknown {
  assertSize(text.length, charactersMax);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalidMessage(`message: expected a JSON object, as in {"ping":{"t":1}}, got ${shown(text)}`, cause);
  }
}

export function assertSize(size: number, max: number): void {
  if (size > max) throw new TailraceError('too_large', `message: expected at most ${max} bytes, got ${size}`);
}

/**
 * Returns the only key of a message and its value. `expected` describes the message in errors. Throws
 * `invalid_message`. Hot: runs for each message, so nothing is allocated for an error that does not occur.
 */
export function kindAndFields(message: unknown, expected: string): readonly [kind: string, fields: unknown] {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    throw invalidMessage(`message: expected ${expected}, got ${shown(message)}`);
  }
  const keys = Object.keys(message);
  const [kind] = keys;
  if (kind === undefined) throw invalidMessage(`message: expected ${expected}, got {}`);
  if (keys.length > 1) throw invalidMessage(`message: expected ${expected}, got ${keys.length} keys, ${shown(keys)}`);
  return [kind, (message as Fields)[kind]];
}

export function unknownKind(kind: string, known: readonly string[]): TailraceError {
  return invalidMessage(`message: expected one of ${known.join(', ')}, got ${shown(kind)}`);
}

/** Returns an object with any keys. `details` is appended to "an object" in the error. */
export function fieldsOf(value: unknown, where: string, details = ''): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidMessage(`${where}: expected an object${details}, got ${shown(value)}`);
  return value as Fields;
}

/** Returns an object that has no keys but the allowed ones. */
export function allowedFieldsOf(value: unknown, where: string, allowed: readonly string[]): Fields {
  const fields = fieldsOf(value, where, ` with ${allowed.join(', ')}`);
  for (const key of Object.keys(fields)) {
    if (!allowed.includes(key))
      throw invalidMessage(`${where}: expected the fields ${allowed.join(', ')}, got the unknown field ${shown(key)}`);
  }
  return fields;
}

/** Returns the ID that the client chose: a text of 1 to 64 bytes. */
export function idOf(fields: Fields, where: string): string {
  const id = fields['id'];
  if (
    typeof id === 'string' &&
    id.length > 0 &&
    id.length <= idBytesMax &&
    utf8Bytes(id) <= idBytesMax &&
    isPlainText(id)
  ) {
    return id;
  }
  throw invalidMessage(
    `${where}.id: expected a text of 1 to ${idBytesMax} bytes without control characters, got ${shown(id)}`,
  );
}

/** Returns a list; empty where it is absent. */
export function listFrom(value: unknown, where: string): readonly unknown[] {
  const list = value ?? [];
  if (Array.isArray(list)) return list;
  throw invalidMessage(`${where}: expected an array, got ${shown(list)}`);
}

export function numberOf(fields: Fields, key: string, where: string, absent?: number): number {
  return checkedField(fields, key, where, absent, Number.isFinite, 'a finite number');
}

/** Returns an integer from 0 to 2^53 - 1. */
export function countOf(fields: Fields, key: string, where: string, absent?: number): number {
  return checkedField(fields, key, where, absent, isCount, 'an integer from 0 to 2^53 - 1');
}

export function textOf(fields: Fields, key: string, where: string, absent?: string): string {
  return checkedField(fields, key, where, absent, isText, 'a text');
}

export function booleanOf(fields: Fields, key: string, where: string, absent?: boolean): boolean {
  return checkedField(fields, key, where, absent, isBoolean, 'true or false');
}

function checkedField<T>(
  fields: Fields,
  key: string,
  where: string,
  absent: T | undefined,
  isValid: (value: unknown) => boolean,
  expected: string,
): T {
  const value = fields[key] ?? absent;
  if (isValid(value)) return value as T;
  throw invalidMessage(`${where}.${key}: expected ${expected}, got ${shown(value)}`);
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown): boolean => typeof value === 'string';
const isBoolean = (value: unknown): boolean => typeof value === 'boolean';
