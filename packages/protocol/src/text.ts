/**
 * Whether the text can be shown, stored and encoded anywhere: no control characters (Unicode category Cc) and no half of a
 * surrogate pair, which has no UTF-8 form. A character loop: most texts here are shorter than what a RegExp costs to enter.
 */
export function isPlainText(text: string): boolean {
  let surrogates = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false;
    if (code >= 0xd800 && code <= 0xdfff) surrogates = true;
  }
  return !surrogates || text.isWellFormed();
}

/** Bytes of the text in UTF-8, without encoding it. Halves of surrogate pairs count 3, as the U+FFFD that stands for them. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x80) continue;
    if (code < 0x800) bytes += 1;
    else if (isPairAt(text, index)) {
      bytes += 2;
      index++;
    } else bytes += 2;
  }
  return bytes;
}

function isPairAt(text: string, index: number): boolean {
  if ((text.charCodeAt(index) & 0xfc00) !== 0xd800 || index + 1 >= text.length) return false;
  return (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00;
}
