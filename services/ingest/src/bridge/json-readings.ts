import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/reading';
import { jsonWithInexact } from '../json-text.ts';
import { PayloadError } from '../payload-error.ts';

/** Elements of an array that become readings: a longer one is a table, not a device's tags. */
const elementsMax = 16;
/** Nested objects: deeper ones have names longer than a tag. */
const depthMax = 16;

/** Returns the value at a JSON pointer (RFC 6901), split to its names; undefined if there is none. */
export function valueAt(value: unknown, names: readonly string[]): unknown {
  let found = value;
  for (const name of names) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as Readonly<Record<string, unknown>>)[name];
  }
  return found;
}

/** Returns the names of a JSON pointer: `/a~1b/0` has `a/b` and `0`. */
export function pointerNames(pointer: string): readonly string[] {
  if (pointer === '') return [];
  const names = pointer.slice(1).split('/');
  return names.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** What `flatReadings` takes. */
export interface FlatOptions {
  /** Names of the readings to take; undefined: all. */
  readonly only: ReadonlySet<string> | undefined;
  /** Units by name. */
  readonly units: Readonly<Record<string, string>>;
  /** Values that are no readings, such as the time; by the dotted name of their pointer. */
  readonly except: ReadonlySet<string>;
}

/**
 * Returns a reading for each number, boolean and text of a JSON value. Nested names are joined by dots, elements of an
 * array are named by their index, and null is left out.
 */
export function flatReadings(value: unknown, options: FlatOptions): Reading[] {
  const readings: Reading[] = [];
  addFlat(readings, value, { name: '', depth: 0 }, options);
  return readings;
}

function addFlat(
  readings: Reading[],
  value: unknown,
  { name, depth }: { name: string; depth: number },
  options: FlatOptions,
): void {
  if (value === null || value === undefined) return;
  if (typeof value === 'object') {
    const isArray = Array.isArray(value);
    if (depth === depthMax) throw new PayloadError('invalid_report', `${name}: expected at most ${depthMax} levels`);
    if (isArray && value.length > elementsMax)
      throw new PayloadError(
        'invalid_report',
        `${name === '' ? 'the payload' : name}: expected an array of at most ${elementsMax} elements, got ${value.length}`,
      );
    for (const [key, inner] of Object.entries(value)) {
      addFlat(readings, inner, { name: name === '' ? key : `${name}.${key}`, depth: depth + 1 }, options);
    }
    return;
  }
  if (options.except.has(name) || (options.only !== undefined && !options.only.has(name))) return;
  if (name === '') throw new PayloadError('invalid_report', `the payload: expected a JSON object, got ${shown(value)}`);
  const unit = Object.hasOwn(options.units, name) ? options.units[name] : undefined;
  const reading = { tag: name, value: value as Reading['value'] };
  readings.push(unit === undefined ? reading : { ...reading, unit });
}

const exactBelow = 2 ** 53;

/**
 * Throws `inexact` if JSON.parse has rounded a value of the readings. `readingsOf` returns the readings of the text
 * with an object in place of each inexact integer: then the reading is missing.
 */
export function assertExactReadings(
  readings: readonly Reading[],
  text: string,
  readingsOf: (value: unknown) => readonly Reading[],
): void {
  const large = readings.filter(({ value }) => typeof value === 'number' && Math.abs(value) >= exactBelow);
  if (large.length === 0) return;
  const replaced = jsonWithInexact(text);
  if (replaced === undefined) return;
  const exact = new Set(readingsOf(JSON.parse(replaced)).map(({ tag }) => tag));
  const inexact = large.find(({ tag }) => !exact.has(tag));
  if (inexact === undefined) return;
  throw new PayloadError(
    'inexact',
    `${inexact.tag}: expected a number that a double holds exactly, or a text; JSON.parse makes ${inexact.value} of it`,
  );
}

export type TimeUnit = 'ms' | 's' | 'us' | 'ns' | 'iso';

const msPer: Readonly<Record<Exclude<TimeUnit, 'iso'>, number>> = { ms: 1, s: 1_000, us: 0.001, ns: 0.000_001 };

/** Returns a time as epoch ms; 0 for an absent one. Throws `invalid_report`. */
export function timeFrom(value: unknown, unit: TimeUnit): number {
  if (value === undefined || value === null) return 0;
  if (unit === 'iso') {
    const timeMs = typeof value === 'string' ? Date.parse(value) : Number.NaN;
    if (!Number.isNaN(timeMs)) return timeMs;
    throw new TailraceError('invalid_report', `time: expected a date as ISO 8601 has it, got ${shown(value)}`);
  }
  // Some senders write 64-bit numbers as texts, which JSON.parse would change.
  const number = typeof value === 'string' && /^[0-9]{1,20}$/.test(value) ? Number(value) : value;
  if (typeof number === 'number') return number * msPer[unit];
  throw new TailraceError('invalid_report', `time: expected a number of ${unit} since 1970, got ${shown(value)}`);
}
