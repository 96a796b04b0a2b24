import { errorBody } from '@tailrace/platform/http-refusal';
import type { Logger } from '@tailrace/platform/logger';
import type { Headers } from '@tailrace/platform/web-response';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Answered } from './endpoint-metrics.ts';
import type { HttpAnswer } from './transport.ts';

const json = ['content-type', 'application/json'] as const;

const statuses: Readonly<Record<string, number>> = {
  invalid_path: 400,
  invalid_pattern: 400,
  invalid_message: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  timeout: 408,
  too_large: 413,
  rate_limited: 429,
  limit_reached: 422,
  unavailable: 503,
};

/**
 * Returns the result of `call` as JSON; a text is JSON already. Returns its error as `{"error":{"code":…,"message":…}}`
 * with the status of the code. Both have `headers`. Calls `call` before it returns. Never rejects.
 */
export async function answerOf(
  logger: Logger,
  status: number,
  answered: Answered,
  call: () => Promise<object | string>,
  headers: Headers = [],
): Promise<HttpAnswer> {
  try {
    const body = await call();
    answered('ok');
    return { status, headers: [json, ...headers], body: typeof body === 'string' ? body : JSON.stringify(body) };
  } catch (thrown) {
    const error = tailraceErrorFrom(thrown);
    const { code, message, retryable } = error;
    if (code === 'internal') logger.error({ error: thrown }, 'a request could not be answered');
    const retryAfter = retryable ? [['retry-after', '1'] as const] : [];
    answered(code);
    return {
      // A limit that is free again later is 503; one that stays until something is removed is no error of the server.
      status: code === 'limit_reached' && retryable ? 503 : (statuses[code] ?? 500),
      headers: [json, ...retryAfter, ...headers],
      body: errorBody(code, message),
    };
  }
}
