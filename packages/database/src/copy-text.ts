import { shown, TailraceError } from '@tailrace/protocol/error';
import type { CopyRows } from './database.ts';
import { parameterText } from './values.ts';

/** A `COPY` of at most this text is sent at once. */
const chunkLetters = 262_144;

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * Yields rows as the text of `COPY … FROM STDIN`, in chunks of whole rows of about 256 KiB, with the number of rows.
 * The clause: PostgreSQL, COPY, "Text Format". Throws `invalid_message` for a row with another number of values.
 */
export async function* copyChunks(
  rows: CopyRows,
  columns: number,
): AsyncGenerator<{ readonly text: string; readonly rows: number }> {
  let text = '';
  let count = 0;
  for await (const row of rows) {
    if (row.length !== columns)
      throw new TailraceError('invalid_message', `row to copy: expected ${columns} values, got ${shown(row.length)}`);
    text += `${row.map(copyValue).join('\t')}\n`;
    count++;
    if (text.length < chunkLetters) continue;
    yield { text, rows: count };
    text = '';
    count = 0;
  }
  if (count > 0) yield { text, rows: count };
}

function copyValue(value: unknown): string {
  const text = parameterText(value);
  return text === null ? '\\N' : text.replace(/[\\\n\r\t]/g, (letter) => escapes[letter]!);
}

/** Returns the statement for `copyChunks`. */
export function copyStatement(table: string, columns: readonly string[]): string {
  return `COPY ${table.split('.').map(quoted).join('.')} (${columns.map(quoted).join(', ')}) FROM STDIN`;
}

/** Returns a name as an identifier of SQL. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
