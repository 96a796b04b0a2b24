import { hostname } from 'node:os';
import { pino } from 'pino';
import { errorFacts } from './error-facts.ts';
import { prettyLine } from './log-pretty.ts';

/** The logger of product code. `facts` become fields of the line. */
export interface Logger {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
  child(facts: object): Logger;
}

/** From the lowest; a level includes those after it. */
export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  /** Name of the service, in every line. */
  readonly service: string;
  /** Name of the process, in every line. Default: the host's name. */
  readonly node?: string;
  readonly level: LogLevel;
  /** Lines for a terminal instead of JSON. Default: false. */
  readonly pretty?: boolean;
  /** Gets whole lines, newline included. Default: standard error, written synchronously. */
  readonly destination?: { write(line: string): void };
  /** Called for every line; returns more fields, such as those of the trace. */
  readonly fields?: () => object;
}

/** Fields that are never logged, at the top of the facts or one level below. */
const secretFields = ['token', 'secret', 'tokenSecret', 'authorization', 'password'];

/**
 * Creates a logger of JSON lines: `level` as a word, `time` in ISO 8601 UTC, `service`, `node`, the facts, and
 * `message`. Errors among the facts become objects with `name`, `message`, `code`, `stack` and their `cause`; secrets
 * become `(secret)`.
 *
 * Writes are synchronous, so that the last line of a crashing process is not lost.
 */
export function createLogger(options: LoggerOptions): Logger {
  const output = options.destination ?? pino.destination({ dest: 2, sync: true });
  const destination = options.pretty ? { write: (line: string) => void output.write(prettyLine(line)) } : output;
  const { fields } = options;
  return pino(
    {
      level: options.level,
      base: { service: options.service, node: options.node ?? hostname() },
      messageKey: 'message',
      errorKey: 'error',
      // `plainFacts` has converted it; pino's own serializer would drop code and cause.
      serializers: { error: (error: unknown) => error },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }), bindings: plainFacts, log: plainFacts },
      ...(fields && { mixin: () => ({ ...fields() }) }),
      redact: { paths: secretFields.flatMap((field) => [field, `*.${field}`]), censor: '(secret)' },
    },
    destination,
  );
}

/** Converts errors, whose fields are not enumerable, so that JSON has them. */
function plainFacts(facts: object): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(facts)) plain[name] = value instanceof Error ? errorFacts(value) : value;
  return plain;
}

/** Calls a callback of other code, and logs what it throws, or rejects with, under `message`. */
export function logErrorsOf(logger: Pick<Logger, 'error'>, call: () => unknown, message: string): void {
  try {
    const result = call();
    if (result instanceof Promise) result.catch((error: unknown) => logger.error({ error }, message));
  } catch (error) {
    logger.error({ error }, message);
  }
}

/** Writes nothing. For tests, simulations and callers without a logger. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
