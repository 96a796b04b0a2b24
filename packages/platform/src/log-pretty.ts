interface LogLine {
  readonly level: string;
  readonly time: string;
  readonly service: string;
  readonly message: string;
  readonly [fact: string]: unknown;
}

const marks: Readonly<Record<string, string>> = { debug: '·', info: ' ', warn: '!', error: '✗' };

/**
 * A JSON line of the log as a person at a terminal wants it:
 * `12:30:01.123 ! ingest: the log is slow  queuedRecords=1200`. An error that was foreseen says all in its message; the stack of any other
 * follows on lines of its own.
 */
export function prettyLine(json: string): string {
  const { level, time, service, message, node: _, ...facts } = JSON.parse(json) as LogLine;
  const head = `${time.slice(11, 23)} ${marks[level] ?? level} ${service}: ${message}`;
  const fields: string[] = [];
  let stacks = '';
  for (const [name, value] of Object.entries(facts)) {
    if (isErrorLike(value)) {
      // The sentence may have it already.
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

/** As deep as `errorFacts` went. */
function stackLines(error: ErrorLike): string {
  const own = error.stack.replace(/^/gm, '    ');
  return `${own}\n${isErrorLike(error.cause) ? `    caused by:\n${stackLines(error.cause)}` : ''}`;
}
