import { TailraceError } from '@tailrace/protocol/error';

/** Of a longer line, this many columns before and after the place are shown. */
const shownColumns = 60;

/**
 * Returns the error of an expression: line and column, what was expected, the line itself, and a caret under the place.
 *
 * @param text The expression.
 * @param at Index of the place in the text; its length is the place after the last character.
 * @param problem What was expected, and what came: `expected a number, got a text`.
 */
export function invalidExpression(text: string, at: number, problem: string): TailraceError {
  const before = text.slice(0, at);
  const lineStart = before.lastIndexOf('\n') + 1;
  const lineEnd = text.indexOf('\n', at);
  const line = text.slice(lineStart, lineEnd < 0 ? text.length : lineEnd);
  const column = at - lineStart;
  const from = Math.max(0, column - shownColumns);
  const to = Math.min(line.length, column + shownColumns);
  const prefix = from > 0 ? '…' : '';
  const excerpt = `${prefix}${plain(line.slice(from, to))}${to < line.length ? '…' : ''}`;
  const caret = `${' '.repeat(prefix.length + column - from)}^`;
  const lineNumber = before.split('\n').length;
  return new TailraceError(
    'invalid_rule',
    `expression, line ${lineNumber}, column ${column + 1}: ${problem}\n${excerpt}\n${caret}`,
  );
}

/** A control character, a tab included, has no column of its own, or moves the cursor of a terminal. */
function plain(line: string): string {
  return line.replace(/\p{Cc}/gu, ' ').toWellFormed();
}
