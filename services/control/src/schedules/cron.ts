import { shown, TailraceError } from '@tailrace/protocol/error';
import { Cron } from 'croner';

/*
 * Times of a cron expression in a time zone, by croner. The only file that imports it.
 *
 * Clocks change. A schedule that names its hours, such as `30 2 * * *` or every 15 minutes of hour 2, runs once for
 * each time that it names: one that does not exist, at the first valid instant after it; one that occurs twice, at its
 * first occurrence. A schedule of every hour, such as every 15 minutes, counts elapsed time: it runs on both
 * occurrences, and not for what does not exist. Vixie cron makes the same distinction, by the first character of minute
 * and hour; croner by wildcards and steps in any field. So steps of named hours are listed for it one by one.
 */

/** Of an expression. */
const charactersMax = 200;

const nicknames: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/** The times of one expression in one time zone. */
export class CronTimes {
  readonly #cron: Cron;

  /**
   * `expression`: minute, hour, day of the month, month and day of the week, optionally after a field of seconds, or a
   * name such as `@daily`. `timeZone`: of the IANA database, such as `Europe/Berlin`. Throws `invalid_message` for
   * either, and for an expression without a time in the next years, such as 30 February. `nowMs`: epoch ms.
   */
  constructor(expression: string, timeZone: string, nowMs: number) {
    assertTimeZone(timeZone);
    try {
      this.#cron = new Cron(plainFields(expression), {
        timezone: timeZone,
        mode: '5-or-6-parts',
        fixedTimeRule: 'no-wildcard',
      });
    } catch (cause) {
      if (cause instanceof TailraceError) throw cause;
      assertBounds(expression);
      throw invalidCron(expression, cause instanceof Error ? cause.message : '', cause);
    }
    if (this.after(nowMs) === undefined) throw invalidCron(expression, 'it has no time in the years to come');
  }

  /** Returns the first time after `afterMs`, epoch ms; undefined: there is none in the years to come. */
  after(afterMs: number): number | undefined {
    return this.#cron.nextRun(new Date(afterMs))?.getTime();
  }

  /** Returns the last time at or before `atMs`, epoch ms; undefined: there is none. */
  last(atMs: number): number | undefined {
    return this.#cron.previousRuns(1, new Date(atMs + 1))[0]?.getTime();
  }

  /** Returns the next `count` times after `afterMs`, fewer if there are not as many. */
  next(count: number, afterMs: number): readonly number[] {
    const times: number[] = [];
    for (let at = this.after(afterMs); at !== undefined && times.length < count; at = this.after(at)) times.push(at);
    return times;
  }
}

/** Throws `invalid_message` unless it is the name of a time zone. */
export function assertTimeZone(timeZone: string): void {
  try {
    if (/^[A-Za-z]/.test(timeZone) && timeZone.length <= 64) {
      new Intl.DateTimeFormat('en', { timeZone });
      return;
    }
  } catch {
    // Reported below.
  }
  throw new TailraceError(
    'invalid_message',
    `timeZone: expected a name of the IANA time zone database, such as "Europe/Berlin", got ${shown(timeZone)}`,
  );
}

/** Returns the expression with the steps of named hours as lists. */
function plainFields(expression: string): string {
  if (expression.length > charactersMax)
    throw invalidCron(expression, `it has ${expression.length} characters; at most ${charactersMax} are allowed`);
  const text = nicknames[expression.trim().toLowerCase()] ?? expression.trim();
  const fields = text.split(/\s+/);
  if (fields.length !== 5 && fields.length !== 6) throw invalidCron(expression, `it has ${fields.length} fields`);
  // croner reads it as the present time, which differs between two processes.
  if (fields.some((field) => field.includes('?'))) throw invalidCron(expression, 'it contains "?"');
  const [hour, minute] = fields.length === 6 ? [2, 1] : [1, 0];
  const hours = listed(fields[hour]!, 24);
  if (hours === undefined || new Set(hours.split(',')).size === 24) {
    // Every hour, or what croner reports as invalid.
    if (hours !== undefined) fields[hour] = '*';
    return fields.join(' ');
  }
  fields[hour] = hours;
  for (let field = 0; field <= minute; field++) fields[field] = listed(fields[field]!, 60) ?? fields[field]!;
  return fields.join(' ');
}

/** Returns a field as a list of its numbers; undefined if it is not one of numbers from 0 to `below`. */
function listed(field: string, below: number): string | undefined {
  const numbers: number[] = [];
  for (const part of field.split(',')) {
    const match = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part);
    if (match === null) return undefined;
    const [, from, to, step] = match;
    // A step of one number is no valid field.
    if (from !== undefined && to === undefined && step !== undefined) return undefined;
    const first = Number(from ?? 0);
    const last = from === undefined ? below - 1 : Number(to ?? from);
    if (last >= below || first > last || step === '0') return undefined;
    for (let number = first; number <= last; number += Number(step ?? 1)) numbers.push(number);
  }
  return numbers.join(',');
}

/** Names, bounds: of the fields, the seconds first. */
const fieldBounds = [
  ...([
    ['second', 0, 59],
    ['minute', 0, 59],
    ['hour', 0, 23],
  ] as const),
  ...([
    ['day of the month', 1, 31],
    ['month', 1, 12],
    ['day of the week', 0, 7],
  ] as const),
] as const;

/** Throws `invalid_message` with the field and the number that is out of its bounds, if one is. */
function assertBounds(expression: string): void {
  const fields = expression.trim().split(/\s+/);
  for (const [index, field] of fields.entries()) {
    const [name, min, max] = fieldBounds[index + fieldBounds.length - fields.length]!;
    // Without steps, which follow a slash.
    const numbers = [...field.matchAll(/(?<![/\d])\d+/g)].map(([text]) => Number(text));
    const wrong = numbers.find((number) => number < min || number > max);
    if (wrong === undefined) continue;
    const expected = `expected ${/^[aeiouh]/.test(name) ? 'an' : 'a'} ${name} from ${min} to ${max}, got ${wrong}`;
    throw new TailraceError('invalid_message', `cron: ${expected} in ${shown(expression)}`);
  }
}

function invalidCron(expression: string, reason: string, cause?: unknown): TailraceError {
  return new TailraceError(
    'invalid_message',
    'cron: expected minute, hour, day of the month, month and day of the week, as in "30 6 * * MON-FRI", ' +
      `optionally after seconds, got ${shown(expression)}: ${reason}`,
    cause === undefined ? {} : { cause },
  );
}
