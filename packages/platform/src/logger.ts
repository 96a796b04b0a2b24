import { hostname } from 'node:os';
import { pino } from 'pino';
import { errorFacts } from './error-facts.ts';
import { prettyLine } from './log-pretty.ts';

/** What product code may say. Facts first, as fields; then one sentence. */
export interface Logger {
  debug(facts: object, sentence: string): void;
  info(facts: object, sentence: string): void;
  warn(facts: object, sentence: string): void;
  error(facts: object, sentence: string): void;
  child(facts: object): Logger;
}

/** From chatty to mute; a level lets itself and everything after it through. */
export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  /** Which program speaks; stands in every line. */
  readonly service: string;
  /** Which of its processes speaks. Default: the host's name. */
  readonly node?: string;
  readonly level: LogLevel;
  /** Lines for a person at a terminal instead of JSON. Default: false. */
  readonly pretty?: boolean;
  /** Where whole lines go, newline included. Default: standard error, written before the call returns. */
  readonly destination?: { write(line: string): void };
  /** Asked at every line that is written for fields that it carries beside its own: of the trace that it belongs to. */
  readonly fields?: () => object;
}

/** Fields that never reach a log, wherever a caller may have put them: at the top of the facts or one level down. */
const secretFields = ['token', 'secret', 'tokenSecret', 'authorization', 'password'];

/**
 * A log of JSON lines: `level` as a word, `time` in ISO 8601 UTC, `service`, `node`, the facts, and the sentence as `message`.
 * Errors among the facts become objects with `name`, `message`, `code`, `stack` and their `cause`; secrets become `(secret)`.
 *
 * Writing is synchronous: the last sentence of a dying process is the one that is needed.
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
      // plainFacts has done it; pino's own would drop code and cause.
      serializers: { error: (error: unknown) => error },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }), bindings: plainFacts, log: plainFacts },
      ...(fields && { mixin: () => ({ ...fields() }) }),
      redact: { paths: secretFields.flatMap((field) => [field, `*.${field}`]), censor: '(secret)' },
    },
    destination,
  );
}

/** Errors do not survive JSON by themselves: their fields are not enumerable. */
function plainFacts(facts: object): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(facts)) plain[name] = value instanceof Error ? errorFacts(value) : value;
  return plain;
}

/** Says nothing. For tests, simulations and whoever has no log. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
