import { shown, TailraceError } from '@tailrace/protocol/error';

/** Levels of lists and objects. A report has four: a list of reports, a report, its readings, a reading. */
const levelsMax = 8;

/**
 * Throws `invalid_report` for what JSON.stringify throws at or turns into something else: NaN and infinities (null),
 * bigint, functions and symbols, dates (a text), undefined in a list or as a reading's `value`; and for more than
 * `levelsMax` levels, which is how an object that contains itself is found. The message names the value, as in
 * `readings[0].value`.
 */
export function assertJsonData(value: unknown): void {
  const error = errorIn(value, 0);
  if (error !== undefined) throw new TailraceError('invalid_report', error.replace(/^\./, '').replace(/^:/, 'report:'));
}

/**
 * The path to what is wrong, and what it is. Put together on the way back: reports are checked at the rate at which a
 * device sends them.
 */
function errorIn(value: unknown, depth: number): string | undefined {
  const kind = typeof value;
  if (kind === 'string' || kind === 'boolean' || value === null || Number.isFinite(value)) return undefined;
  if (kind !== 'object' || value instanceof Date) {
    const got =
      kind === 'object'
        ? 'a Date; getTime() is its number'
        : kind === 'function'
          ? kind
          : `${kind === 'bigint' ? 'bigint ' : ''}${shown(value)}`;
    return `: expected a number, text, boolean, list or object, got ${got}`;
  }
  if (depth === levelsMax) return `: expected at most ${levelsMax} levels of lists and objects, got more`;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const error = errorIn(value[index], depth + 1);
      if (error !== undefined) return `[${index}]${error}`;
    }
  } else {
    for (const key of Object.keys(value as object)) {
      const each = (value as Record<string, unknown>)[key];
      // Other keys JSON leaves out, and so may a program.
      const error = each === undefined && key !== 'value' ? undefined : errorIn(each, depth + 1);
      if (error !== undefined) return `.${key}${error}`;
    }
  }
  return undefined;
}
