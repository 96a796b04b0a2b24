interface LogLine {
  readonly level: string;
  readonly time: string;
  readonly service: string;
  readonly message: string;
  readonly [fact: string]: unknown;
}

const levelSymbols: Readonly<Record<string, string>> = { debug: '·', info: ' ', warn: '!', error: '✗' };

/**
 * Formats a JSON line of the log for a terminal: `12:30:01.123 ! ingest: the log is slow  queuedRecords=1200`. Of an
 * expected error only the message is written, of any other the stack, on its own lines.
 */
export function prettyLine(json: string): string {
  const { level, time, service, message, node: _, ...facts } = JSON.parse(json) as LogLine;
  const head = `${time.slice(11, 23)} ${levelSymbols[level] ?? level} ${service}: ${message}`;
  const fields: string[] = [];
  let stacks = '';
  for (const [name, value] of Object.entries(facts)) {
    if (isErrorLike(value)) {
      // The message may already have it.
      if (!message.includes(value.message)) fields.push(`${name}=${JSON.stringify(value.message)}`);
      if (value.name !== 'TailraceError' || value.code === 'internal') stacks += stackLines(value);
    } else {
      fields.push(`${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
    }
  }
  return `${head}${fields.length > 0 ? '  ' : ''}${fields.join(' ')}\n${stacks}`;
}

interface ErrorLike {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly message: string;
  readonly stack: string;
  readonly cause?: unknown;
}

function isErrorLike(value: unknown): value is ErrorLike {
  return typeof value === 'object' && value !== null && 'stack' in value && 'message' in value;
}

/** As deep as `errorFacts`. */
function stackLines(error: ErrorLike): string {
  const own = error.stack.replace(/^/gm, '    ');
  return `${own}\n${isErrorLike(error.cause) ? `    caused by:\n${stackLines(error.cause)}` : ''}`;
}
