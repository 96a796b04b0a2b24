import { TailraceError } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/report';
import { quote, stringEnd } from './json-characters.ts';

/** A double does not hold every integer from here on, and JSON.parse rounds them without an error. */
const exactBelow = 2 ** 53;
/** Decimal digits of the smallest integer that is not held. */
const digitsMin = 16;

/**
 * Whether JSON.parse may have rounded a value; only then is the text scanned. Hot: once for each JSON report.
 */
export function hasLargeNumber(readings: readonly Reading[]): boolean {
  for (let index = 0; index < readings.length; index++) {
    const { value } = readings[index]!;
    if (typeof value === 'number' && (value >= exactBelow || value <= -exactBelow)) return true;
  }
  return false;
}

/** The only key of the object that replaces an integer that a double does not hold. No report has such a key. */
const markKey = '\u0000';

/**
 * Returns the JSON text with an object in place of each integer that a double does not hold; undefined if there is
 * none. An integer is a number without fraction and exponent: with one of those a sender asks for the nearest double.
 * `text` is valid JSON.
 */
export function markedJson(text: string): string | undefined {
  let marked = '';
  let copied = 0;
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === quote) at = stringEnd(text, at) + 1;
    else if (!isOfNumber(code)) at++;
    else {
      const end = numberEnd(text, at);
      // The letter e of `true` and `false` comes here, too, and is as short as most numbers.
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

/** A JSON text that JSON.parse takes, with what it has rounded; scanned at most once. */
export class JsonText {
  readonly #text: string;
  #marked: { readonly value: unknown } | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /**
   * Throws `invalid_report` if the report has a value that a double does not hold: the report that is the whole text,
   * or the element `index` of its array.
   */
  assertExact(index: number | undefined): void {
    if (this.#marked === undefined) {
      const marked = markedJson(this.#text);
      this.#marked = { value: marked === undefined ? undefined : JSON.parse(marked) };
    }
    const { value } = this.#marked;
    if (value !== undefined) assertExact(index === undefined ? value : (value as readonly unknown[])[index]);
  }
}

/** `report`: as `markedJson` left it. */
function assertExact(report: unknown): void {
  const { readings, values } = report as { readings?: readonly unknown[]; values?: readonly unknown[] };
  const list = values === undefined || values === null ? 'readings' : 'values';
  for (const [index, reading] of (values ?? readings ?? []).entries()) {
    const written = (reading as { value?: Readonly<Record<string, string>> }).value?.[markKey];
    if (written === undefined) continue;
    throw new TailraceError(
      'invalid_report',
      `${list}[${index}].value: expected a number that a double holds exactly, or text; got ${written.slice(0, 80)}`,
    );
  }
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

/**
 * Whether a double holds it, or it is what JavaScript writes for a double: the shortest digits that give it back, as
 * 1152921504606847000 for 2^60. An integer of more than 309 digits is infinite, so that BigInt never parses a longer
 * one.
 */
function isExact(integer: string): boolean {
  const value = Number(integer);
  return Number.isFinite(value) && (String(value) === integer || BigInt(integer) === BigInt(value));
}
