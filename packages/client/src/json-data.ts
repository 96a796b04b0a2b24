import { shown, TailraceError } from '@tailrace/protocol/error';

/** Levels of nested lists and objects. A list of reports has four: the list, a report, its readings, a reading. */
const levelsMax = 8;

/**
 * Throws `invalid_report` for values that JSON.stringify rejects or converts: NaN and infinities (null), bigint,
 * functions and symbols, dates (a text), undefined in a list or as a reading's `value`. Also for more than `levelsMax`
 * levels, which detects cycles. The message has the path, as in `readings[0].value`.
 */
export function assertJsonData(value: unknown): void {
  const error = errorIn(value, 0);
  if (error !== undefined) throw new TailraceError('invalid_report', error.replace(/^\./, '').replace(/^:/, 'report:'));
}

/**
 * Returns the path of the invalid value and the error. The path is built on return, so that valid reports cost no
 * strings.
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
      // JSON leaves out other keys that are undefined.
      const error = each === undefined && key !== 'value' ? undefined : errorIn(each, depth + 1);
      if (error !== undefined) return `.${key}${error}`;
    }
  }
  return undefined;
}
