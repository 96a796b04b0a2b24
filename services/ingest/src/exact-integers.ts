import { TailraceError } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/report';

/** From here on a double does not hold every integer, and JSON.parse rounds silently. */
const exactBelow = 2 ** 53;
/** Decimal digits of the smallest integer that is not held. */
const digitsMin = 16;

/**
 * Whether a value may be another integer than the one that was written: only then the text is worth a look. Hot: once
 * for each JSON report.
 */
export function hasLargeNumber(readings: readonly Reading[]): boolean {
  for (let index = 0; index < readings.length; index++) {
    const { value } = readings[index]!;
    if (typeof value === 'number' && (value >= exactBelow || value <= -exactBelow)) return true;
  }
  return false;
}

/** The one key of what stands in place of an integer that a double does not hold. No report has it. */
const markKey = '\u0000';

/**
 * The JSON text with an object in place of each integer that a double does not hold; undefined where there is none. An
 * integer is a number written without fraction and exponent: a sender of those asks for the nearest double. The text
 * is one that JSON.parse takes.
 */
export function markedJson(text: string): string | undefined {
  let marked = '';
  let copied = 0;
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === 0x22) at = textEnd(text, at);
    else if (!isOfNumber(code)) at++;
    else {
      const end = numberEnd(text, at);
      // A letter of `true`, `false` or `null` comes here, too, and is as short as most numbers.
      if (end - at >= digitsMin) {
        const number = text.slice(at, end);
        if (/^-?[0-9]+$/.test(number) && !isExact(number)) {
          marked += `${text.slice(copied, at)}{"\\u0000":"${number}"}`;
          copied = end;
        }
      }
      at = end;
    }
  }
  return copied === 0 ? undefined : marked + text.slice(copied);
}

/** Throws `invalid_report` for a report, as `markedJson` left it, with a value that a double does not hold. */
export function assertExact(report: unknown): void {
  const { readings, values } = report as { readings?: readonly unknown[]; values?: readonly unknown[] };
  const list = values === undefined ? 'readings' : 'values';
  for (const [index, reading] of (values ?? readings ?? []).entries()) {
    const written = (reading as { value?: Readonly<Record<string, string>> }).value?.[markKey];
    if (written === undefined) continue;
    throw new TailraceError(
      'invalid_report',
      `${list}[${index}].value: expected a number that a double holds exactly, or text; got ${written.slice(0, 80)}`,
    );
  }
}

/** Behind the double quote that ends the text whose first one is at `start`. */
function textEnd(text: string, start: number): number {
  let at = start + 1;
  while (text.charCodeAt(at) !== 0x22) at += text.charCodeAt(at) === 0x5c ? 2 : 1;
  return at + 1;
}

function numberEnd(text: string, start: number): number {
  let at = start + 1;
  while (isOfNumber(text.charCodeAt(at))) at++;
  return at;
}

/** Digits, signs, the point, and the letter of an exponent. */
function isOfNumber(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x2b || code === 0x2e || (code | 0x20) === 0x65;
}

/** An integer of more than 309 digits is infinite, and BigInt is asked no more than that. */
function isExact(integer: string): boolean {
  const value = Number(integer);
  return Number.isFinite(value) && BigInt(integer) === BigInt(value);
}
