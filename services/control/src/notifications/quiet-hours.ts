import { shown, TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';

/*
 * Hours in which notifications are held back, by the local time of a place. All times are local minutes, so that a
 * change of the clock moves no limit: from `22:00` to `06:00` is until 06:00 on each day.
 */

const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const minuteMs = 60_000;
const dayMinutes = 1_440;

const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'expected a time as in 22:00');

export const quietHoursSchema = z
  .strictObject({
    timeZone: z.string().max(64).refine(isTimeZone, 'expected a time zone as in Europe/Berlin'),
    from: timeOfDay,
    to: timeOfDay.describe('Before `from`: on the next day.'),
    days: z.array(z.enum(dayNames)).min(1).max(7).optional().describe('On which they start. Default: each day.'),
    exceptPriority: z
      .int()
      .min(0)
      .max(5)
      .default(1)
      .describe('Alarms of this priority and higher ones are never held back; 0: all are.'),
    during: z
      .enum(['hold', 'drop'])
      .default('hold')
      .describe('hold: sent at the end, unless the alarm has returned by then. drop: never sent.'),
  })
  .refine(({ from, to }) => from !== to, 'expected different times, got the same for from and to');

export type QuietHours = Readonly<z.output<typeof quietHoursSchema>>;

/** Returns the end of the quiet hours that contain the time, epoch ms; undefined outside of them. */
export function quietUntil(hours: QuietHours, timeMs: number): number | undefined {
  if (!isQuiet(hours, timeMs)) return undefined;
  const { minute } = localTime(hours.timeZone, timeMs);
  const left = (minutesOf(hours.to) - minute + dayMinutes) % dayMinutes;
  let end = (Math.floor(timeMs / minuteMs) + left) * minuteMs;
  // The clock may change in between: forward, then the end is earlier; back, then it is later.
  while (end - minuteMs > timeMs && !isQuiet(hours, end - minuteMs)) end -= minuteMs;
  while (isQuiet(hours, end)) end += minuteMs;
  return end;
}

function isQuiet({ timeZone, from, to, days }: QuietHours, timeMs: number): boolean {
  const { minute, day } = localTime(timeZone, timeMs);
  const [first, last] = [minutesOf(from), minutesOf(to)];
  const isOn = (start: number) => days === undefined || days.includes(dayNames[start]!);
  if (first < last) return minute >= first && minute < last && isOn(day);
  if (minute >= first) return isOn(day);
  return minute < last && isOn((day + 6) % 7);
}

function minutesOf(time: string): number {
  const [hours, minutes] = time.split(':');
  return Number(hours) * 60 + Number(minutes);
}

/** Of each time zone in use: creating one takes milliseconds. Bounded by the number of time zones. */
const formats = new Map<string, Intl.DateTimeFormat>();

/** Returns the minute of the day, and the day of the week from Sunday on. */
function localTime(timeZone: string, timeMs: number): { readonly minute: number; readonly day: number } {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-GB', {
      ...{ timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
    });
    formats.set(timeZone, format);
  }
  const text = format.format(timeMs);
  const [, weekday = '', hour, minute] = /([A-Z][a-z]{2})\W+(\d{2}):(\d{2})/.exec(text) ?? [];
  const day = (dayNames as readonly string[]).indexOf(weekday.toLowerCase());
  if (day < 0) throw new TailraceError('internal', `local time: expected it as in Mon 22:30, got ${shown(text)}`);
  return { minute: Number(hour) * 60 + Number(minute), day };
}

function isTimeZone(text: string): boolean {
  try {
    return /^[A-Za-z]/.test(text) && new Intl.DateTimeFormat('en', { timeZone: text }) !== undefined;
  } catch {
    return false;
  }
}
