/** Most parses of a search: a text of 4 MiB takes 23. */
const parsesMax = 40;

/**
 * Returns the place of the first error of a text that is no JSON, as `line 3 column 5`, both from 1; `the end of the
 * text` for one that is not complete; undefined for valid JSON. `JSON.parse` has no place for some errors, and quotes
 * the text, which may have secrets.
 *
 * The place is where the shortest beginning stops that nothing after it makes valid, which a binary search finds.
 */
export function jsonErrorPlace(text: string): string | undefined {
  if (!hasError(text, text.length) && errorOf(text) === undefined) return undefined;
  if (!hasError(text, text.length)) return 'the end of the text';
  let valid = 0;
  let invalid = text.length;
  for (let parses = 0; invalid - valid > 1 && parses < parsesMax; parses++) {
    const middle = (valid + invalid) >>> 1;
    if (hasError(text, middle)) invalid = middle;
    else valid = middle;
  }
  const before = text.slice(0, invalid - 1);
  return `line ${before.split('\n').length} column ${before.length - before.lastIndexOf('\n')}`;
}

/** Whether the first `length` characters have an error, other than that the text stops there. */
function hasError(text: string, length: number): boolean {
  const message = errorOf(text.slice(0, length));
  if (message === undefined || message.includes('end of JSON input')) return false;
  const position = /at position (\d+)/.exec(message)?.[1];
  return position === undefined || Number(position) < length;
}

function errorOf(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (thrown) {
    return (thrown as Error).message;
  }
}
