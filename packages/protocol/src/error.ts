/** All error codes. A new one also needs a line in docs/PROTOCOL.md. */
export const errorCodes = [
  'invalid_path',
  'invalid_pattern',
  'invalid_report',
  'invalid_message',
  'invalid_position',
  'invalid_config',
  'invalid_rule',
  'unauthorized',
  'forbidden',
  'not_found',
  'conflict',
  'too_large',
  'rate_limited',
  'limit_reached',
  'unavailable',
  'timeout',
  'storage_full',
  'address_in_use',
  'closed',
  'canceled',
  'internal',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface TailraceErrorOptions {
  /** Whether the same call may succeed later. Default: by the code. */
  retryable?: boolean;
  /** The underlying error, for the log. Never sent over the wire. */
  cause?: unknown;
}

const retryableCodes: ReadonlySet<ErrorCode> = new Set(['rate_limited', 'unavailable', 'timeout', 'storage_full']);

/**
 * The only error class of the project. The message states what was expected and the invalid value, truncated by
 * `shown`. It may be sent to the sender of the value.
 */
export class TailraceError extends Error {
  override readonly name = 'TailraceError';
  readonly code: ErrorCode;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: TailraceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? retryableCodes.has(code);
  }

  /**
   * Returns the fields for `JSON.stringify`, which omits the message of a plain `Error`. Without `cause` and `stack`.
   */
  toJSON(): { name: string; code: ErrorCode; message: string; retryable: boolean } {
    const { name, code, message, retryable } = this;
    return { name, code, message, retryable };
  }
}

export function isTailraceError(value: unknown): value is TailraceError {
  return value instanceof TailraceError;
}

/** Returns anything thrown as a TailraceError: itself, or `internal` with the original as its cause. */
export function tailraceErrorFrom(thrown: unknown): TailraceError {
  return isTailraceError(thrown)
    ? thrown
    : new TailraceError('internal', 'internal error; see the server log', { cause: thrown });
}

const shownCharactersMax = 80;

/**
 * Returns a value for an error message: JSON with control characters escaped, at most 80 characters and an ellipsis.
 */
export function shown(value: unknown): string {
  let text: string;
  try {
    // A long text is truncated before it is escaped, so that a hostile megabyte costs nothing.
    text =
      typeof value === 'string'
        ? JSON.stringify(value.slice(0, shownCharactersMax + 1))
        : // JSON has null for NaN and the infinities, and no bigint.
          typeof value === 'number' || typeof value === 'bigint'
          ? String(value)
          : (JSON.stringify(value) ?? String(value));
  } catch {
    text = typeof value;
  }
  // JSON escapes neither DEL nor the C1 controls, which a terminal obeys. Truncation may leave a lone surrogate, which
  // UTF-8 cannot encode.
  text = text
    .slice(0, shownCharactersMax + 1)
    .replace(/\p{Cc}/gu, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return text.length > shownCharactersMax
    ? `${text.slice(0, shownCharactersMax).toWellFormed()}…`
    : text.toWellFormed();
}
