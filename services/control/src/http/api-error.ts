import { type ErrorCode, isTailraceError, shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { FastifyError } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { z } from 'zod';

/** The body of each answer that is an error. */
export const errorSchema = z
  .object({
    error: z.object({
      code: z.string().describe('One of the closed list of docs/PROTOCOL.md, "Error codes".'),
      message: z.string().describe('What was expected, and the value that came.'),
      retryable: z.boolean().describe('Whether the same request may succeed later.'),
    }),
  })
  .describe('Why the request failed.');

export type ErrorAnswer = z.output<typeof errorSchema>;

const statuses: Partial<Record<ErrorCode, number>> = {
  invalid_path: 400,
  invalid_pattern: 400,
  invalid_message: 400,
  invalid_rule: 400,
  invalid_config: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  timeout: 503,
  conflict: 409,
  too_large: 413,
  rate_limited: 429,
  limit_reached: 422,
  unavailable: 503,
  storage_full: 503,
  closed: 503,
  canceled: 409,
};

/**
 * Returns the HTTP status of an error. One without a status is internal. A limit that the request itself exceeds, or
 * that stays until somebody removes something, is 422: a client that repeats requests with 5xx would repeat it in vain.
 * A limit of what is in progress is 503, as it is free again later.
 */
export function statusOf({ code, retryable }: Pick<TailraceError, 'code' | 'retryable'>): number {
  return code === 'limit_reached' && retryable ? 503 : (statuses[code] ?? 500);
}

export function errorAnswer({ code, message, retryable }: TailraceError): ErrorAnswer {
  return { error: { code, message, retryable } };
}

/** The input of a request that have schemas. */
export interface RequestInput {
  readonly body: unknown;
  readonly query: unknown;
  readonly params: unknown;
}

/** Returns anything that a handler or Fastify has thrown as an error for the client. */
export function requestErrorFrom(thrown: unknown, input: RequestInput): TailraceError {
  if (isTailraceError(thrown)) return thrown;
  if (hasZodFastifySchemaValidationErrors(thrown))
    return new TailraceError('invalid_message', validationText(thrown as unknown as ValidationError, input));
  const { code, statusCode, message } = thrown as Partial<FastifyError>;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new TailraceError('too_large', 'body: expected a smaller one');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new TailraceError('invalid_message', `request: expected a valid one, got an error: ${message ?? code}`);
  return tailraceErrorFrom(thrown);
}

interface ValidationError {
  readonly validation: readonly { readonly instancePath: string; readonly message?: string }[];
  readonly validationContext?: string;
}

const errorsMax = 5;

/** Returns for each invalid field what was expected, and its value. */
function validationText({ validation, validationContext = 'body' }: ValidationError, input: RequestInput): string {
  const part = { body: input.body, querystring: input.query, params: input.params }[validationContext];
  const texts = validation.slice(0, errorsMax).map(({ instancePath, message = 'expected another value' }) => {
    const path = instancePath.split('/').filter((name) => name !== '');
    const field = path.join('.') || validationContext;
    const text = message.replace(/^Invalid input: /, '').replace(/, received .*$/, '');
    return `${field}: ${text}, got ${shown(valueAt(part, path))}`;
  });
  const more = validation.length > errorsMax ? `; and ${validation.length - errorsMax} more` : '';
  return texts.join('; ') + more;
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const name of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}
