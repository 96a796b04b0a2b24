const codeOf = (character: string) => character.charCodeAt(0);
export const quote = codeOf('"');
export const backslash = codeOf('\\');
export const comma = codeOf(',');
export const colon = codeOf(':');
export const arrayStart = codeOf('[');
export const arrayEnd = codeOf(']');
export const objectStart = codeOf('{');
export const objectEnd = codeOf('}');

/** Returns the index of the first character from `from` on that is no JSON space; the text's length if each is. */
export function pastSpace(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // RFC 8259 section 2: space, tab, line feed, carriage return, and no others.
    if (code !== 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) break;
  }
  return at;
}

/** Returns the index of the closing quote of the string that opens at `start`; beyond the text if there is none. */
export function stringEnd(text: string, start: number): number {
  let at = start + 1;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) break;
    if (code === backslash) at++;
  }
  return at;
}
