import { shown, TailraceError } from '@tailrace/protocol/error';

/*
 * Values as PostgreSQL's text, one codec for both adapters, so that a statement has the same parameters and results in
 * each. The numbers are the type IDs of pg_type.dat, which never change.
 */

const decoders: ReadonlyMap<number, (text: string) => unknown> = new Map<number, (text: string) => unknown>([
  [16, (text) => text === 't'],
  [17, (text) => bytesFrom(text)],
  [20, safeInteger],
  [21, Number],
  [23, Number],
  [26, Number],
  [114, JSON.parse],
  [700, Number],
  [701, Number],
  [1114, (text) => new Date(`${text.replace(' ', 'T')}Z`)],
  [1184, dateFrom],
  [3802, JSON.parse],
]);

/** Type IDs of arrays, and of their elements. */
const arrays: ReadonlyMap<number, number> = new Map([
  [1000, 16],
  [1001, 17],
  [1005, 21],
  [1007, 23],
  [1009, 25],
  [1015, 1043],
  [1016, 20],
  [1021, 700],
  [1022, 701],
  [1115, 1114],
  [1185, 1184],
  [1231, 1700],
  [199, 114],
  [2951, 2950],
  [3807, 3802],
]);

/**
 * Returns a value of a result. Throws `internal` for a `bigint` beyond 2^53, which a number cannot hold: store such
 * values as text. Types without an entry here (text, numeric, uuid, date, interval) are their text.
 */
export function valueFrom(text: string | null, typeId: number): unknown {
  if (text === null) return null;
  const element = arrays.get(typeId);
  if (element !== undefined) return arrayFrom(text, element);
  return decoders.get(typeId)?.(text) ?? text;
}

/**
 * Returns a parameter as PostgreSQL's text; null and undefined are NULL. An array is an array of PostgreSQL: pass JSON
 * arrays as `JSON.stringify` texts. Another object is JSON. Throws `invalid_message` for NUL characters, which no text
 * of PostgreSQL can hold, and for functions and symbols.
 */
export function parameterText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  switch (typeof value) {
    case 'string':
      return withoutNul(value);
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'object':
      break;
    default:
      throw new TailraceError('invalid_message', `parameter: expected a value, got ${shown(typeof value)}`);
  }
  if (value instanceof Date) return dateText(value);
  if (value instanceof Uint8Array)
    return `\\x${Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex')}`;
  if (Array.isArray(value)) return arrayText(value);
  return withoutNul(JSON.stringify(value));
}

function withoutNul(text: string): string {
  // JSON escapes it, and jsonb refuses the escape.
  if (text.includes('\0'))
    throw new TailraceError('invalid_message', `parameter: expected text without NUL characters, got ${shown(text)}`);
  return text;
}

function dateText(value: Date): string {
  if (Number.isNaN(value.getTime()))
    throw new TailraceError('invalid_message', 'parameter: expected a valid date, got Invalid Date');
  return value.toISOString();
}

function arrayText(values: readonly unknown[]): string {
  const items = values.map((value) => {
    if (Array.isArray(value)) return arrayText(value);
    const text = parameterText(value);
    return text === null ? 'NULL' : `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  });
  return `{${items.join(',')}}`;
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new TailraceError('internal', `bigint: expected at most 2^53 - 1, got ${shown(text)}; store it as text`);
  return value;
}

function bytesFrom(text: string): Uint8Array {
  // A plain Uint8Array, not a Buffer, whose slices share memory.
  return new Uint8Array(Buffer.from(text.slice(2), 'hex'));
}

/** `2026-11-30 10:35:37.628+00`; the servers' time zone is set to UTC by both adapters. */
function dateFrom(text: string): Date {
  return new Date(`${text.replace(' ', 'T').replace(/\+00$/, '')}Z`);
}

/** The clause: PostgreSQL, "8.15.6. Array Input and Output Syntax". */
function arrayFrom(text: string, element: number): unknown[] {
  const stack: unknown[][] = [];
  let i = text.indexOf('{');
  for (;;) {
    const letter = text[i];
    if (letter === '{') {
      stack.push([]);
      i++;
    } else if (letter === '}') {
      const whole = stack.pop()!;
      const outer = stack.at(-1);
      if (outer === undefined) return whole;
      outer.push(whole);
      i++;
    } else if (letter === ',') {
      i++;
    } else {
      const [item, next] = letter === '"' ? quotedItem(text, i + 1) : plainItem(text, i);
      stack.at(-1)!.push(valueFrom(item, element));
      i = next;
    }
  }
}

function quotedItem(text: string, start: number): [string, number] {
  let item = '';
  for (let i = start; ; i++) {
    if (text[i] === '"') return [item, i + 1];
    if (text[i] === '\\') i++;
    item += text[i];
  }
}

function plainItem(text: string, start: number): [string | null, number] {
  let end = start;
  while (text[end] !== ',' && text[end] !== '}') end++;
  const item = text.slice(start, end);
  return [item === 'NULL' ? null : item, end];
}
