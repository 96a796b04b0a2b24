/**
 * Returns whether the text has no control characters (Unicode category Cc) and no lone surrogates, which UTF-8 cannot
 * encode. A loop, because entering a RegExp costs more than most texts.
 */
export function isPlainText(text: string): boolean {
  let hasSurrogates = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false;
    if (code >= 0xd800 && code <= 0xdfff) hasSurrogates = true;
  }
  return !hasSurrogates || text.isWellFormed();
}

/**
 * Returns the bytes of the text in UTF-8, without encoding it. A lone surrogate counts 3, as the U+FFFD that replaces
 * it.
 */
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
