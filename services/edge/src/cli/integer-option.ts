import { shown, TailraceError } from '@tailrace/protocol/error';

/** Returns the value of an option, or its default. Throws `invalid_config` unless it is an integer in the bounds. */
export function integerOption(name: string, text: string | undefined, absent: number, max: number, min = 1): number {
  if (text === undefined) return absent;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new TailraceError('invalid_config', `${name}: expected an integer of ${min} to ${max}, got ${shown(text)}`);
}
