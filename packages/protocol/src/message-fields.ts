import { shown, TailraceError } from './error.ts';
import { isPlainText, utf8Bytes } from './text.ts';

/** What stands in a message from the network: nobody has looked at it. */
export type Fields = Readonly<Record<string, unknown>>;

export const idBytesMax = 64;

export function invalidMessage(message: string, cause?: unknown): TailraceError {
  return new TailraceError('invalid_message', message, cause === undefined ? {} : { cause });
}

/** The value that the text means. `charactersMax` is looked at before anything else. Throws `too_large`, `invalid_message`. */
export function jsonFrom(text: string, charactersMax: number): unknown {
  assertSize(text.length, charactersMax);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalidMessage(
      `${shown(text)} is not JSON; right is one message as a JSON object, as in {"ping":{"t":1}}`,
      cause,
    );
  }
}

export function assertSize(size: number, max: number): void {
  if (size > max) throw new TailraceError('too_large', `the message has ${size} bytes; right is at most ${max}`);
}

/**
 * The one key of a message and what is under it. `right`: what the message may be. Throws `invalid_message`. Hot: once
 * for each message, so that nothing is allocated for an error that does not occur.
 */
export function kindAndFields(message: unknown, right: string): readonly [kind: string, fields: unknown] {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    throw invalidMessage(`the message is ${shown(message)}; ${right}`);
  }
  const keys = Object.keys(message);
  const [kind] = keys;
  if (kind === undefined) throw invalidMessage(`the message is empty; ${right}`);
  if (keys.length > 1) throw invalidMessage(`the message has ${keys.length} keys, ${shown(keys)}; ${right}`);
  return [kind, (message as Fields)[kind]];
}

export function unknownKind(kind: string, known: readonly string[]): TailraceError {
  return invalidMessage(`${shown(kind)} is no message; right is one of ${known.join(', ')}`);
}

/** An object with any keys. `more` goes into the error. */
export function fieldsOf(value: unknown, where: string, more = ''): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidMessage(`${where} is ${shown(value)}; right is an object${more}`);
  return value as Fields;
}

/** An object with no keys but the allowed ones. */
export function allowedFieldsOf(value: unknown, where: string, allowed: readonly string[]): Fields {
  const fields = fieldsOf(value, where, ` with ${allowed.join(', ')}`);
  for (const key of Object.keys(fields)) {
    if (!allowed.includes(key))
      throw invalidMessage(`${where} has the unknown field ${shown(key)}; right is ${allowed.join(', ')}`);
  }
  return fields;
}

/** The name that a client gave: 1 to 64 bytes of text. */
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
    `${where}.id is ${shown(id)}; right is a text of 1 to ${idBytesMax} bytes without control characters`,
  );
}

/** A list; absent: an empty one. */
export function listFrom(value: unknown, where: string): readonly unknown[] {
  const list = value ?? [];
  if (Array.isArray(list)) return list;
  throw invalidMessage(`${where} is ${shown(list)}; right is an array`);
}

export function numberOf(fields: Fields, key: string, where: string, absent?: number): number {
  return checkedField(fields, key, where, absent, Number.isFinite, 'a finite number');
}

/** A whole number below 2^53, not negative. */
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
  isRight: (value: unknown) => boolean,
  right: string,
): T {
  const value = fields[key] ?? absent;
  if (isRight(value)) return value as T;
  throw invalidMessage(`${where}.${key} is ${shown(value)}; right is ${right}`);
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown): boolean => typeof value === 'string';
const isBoolean = (value: unknown): boolean => typeof value === 'boolean';
