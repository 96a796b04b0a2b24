import { type ErrorCode, isTailraceError, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { FastifyError } from 'fastify';
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

/** What a route takes, and what the request has. */
export interface RequestFacts {
  readonly contentType: string;
  readonly contentTypes: readonly string[];
}

/** Returns anything that a handler or Fastify has thrown as an error for the client, and its status. */
export function refusalFrom(
  thrown: unknown,
  { contentType, contentTypes }: RequestFacts,
): { readonly error: TailraceError; readonly status: number } {
  const error = isTailraceError(thrown) ? thrown : undefined;
  if (error !== undefined) return { error, status: statusOf(error) };
  const { code, statusCode, message } = thrown as Partial<FastifyError>;
  const invalid = (text: string, status: number) => ({ error: new TailraceError('invalid_message', text), status });
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return invalid(`expected Content-Type: ${contentTypes.join(' or ')}, got ${contentType || 'none'}`, 415);
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return { error: new TailraceError('too_large', 'body: expected a smaller one'), status: 413 };
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return invalid(`request: expected a valid one, got an error: ${message ?? code}`, 400);
  return { error: tailraceErrorFrom(thrown), status: 500 };
}
