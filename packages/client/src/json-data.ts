import { TailraceError } from '@tailrace/protocol/error';

/** A report nests less deep: a list of reports, a report, its readings, a reading. */
const depthMax = 8;

/**
 * Throws `invalid_report` for what JSON.stringify throws at or turns into something else: NaN and infinities (null), bigint, functions and symbols, dates (a
 * text), undefined in a list or as a reading's `value`, an object that contains itself. The message names the value, as in `readings[0].value`.
 */
export function assertJsonData(value: unknown): void {
  const fault = faultIn(value, 0);
  if (fault !== undefined) throw new TailraceError('invalid_report', fault.replace(/^\./, '').replace(/^:/, 'report:'));
}

/** The path to what is wrong, and what it is. Put together on the way back: reports are checked at the rate at which a device sends them. */
function faultIn(value: unknown, depth: number): string | undefined {
  const kind = typeof value;
  if (kind === 'string' || kind === 'boolean' || value === null || Number.isFinite(value)) return undefined;
  if (kind !== 'object' || value instanceof Date || depth === depthMax) {
    const got =
      kind === 'number'
        ? value
        : kind !== 'object'
          ? kind
          : depth === depthMax
            ? 'an object that contains itself'
            : 'a Date; getTime() is its number';
    return `: expected a number, text, boolean, list or object, got ${got}`;
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const fault = faultIn(value[index], depth + 1);
      if (fault !== undefined) return `[${index}]${fault}`;
    }
  } else {
    for (const key of Object.keys(value as object)) {
      const each = (value as Record<string, unknown>)[key];
      // Other keys JSON leaves out, and so may a program.
      const fault = each === undefined && key !== 'value' ? undefined : faultIn(each, depth + 1);
      if (fault !== undefined) return `.${key}${fault}`;
    }
  }
  return undefined;
}
