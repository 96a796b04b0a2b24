import { errorBody } from '@tailrace/platform/http-refusal';
import type { Log } from '@tailrace/platform/log';
import { type Headers, type HttpResponse, respond } from '@tailrace/platform/webserver';
import { type TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Answered } from './endpointmetrics.ts';

const json = ['content-type', 'application/json'] as const;

const statuses: Readonly<Record<string, number>> = {
  invalid_path: 400,
  invalid_pattern: 400,
  invalid_message: 400,
  unauthorized: 401,
  forbidden: 403,
  timeout: 408,
  too_large: 413,
  rate_limited: 429,
  limit_reached: 503,
  unavailable: 503,
};

/**
 * Answers with the result of `call` as JSON (a text is JSON already), or with its error; `headers` go with either. The
 * response is watched for an abort already. Never rejects.
 */
export async function answerWith(
  res: HttpResponse,
  log: Log,
  status: number,
  answered: Answered,
  call: () => Promise<object | string>,
  headers: Headers = [],
): Promise<void> {
  try {
    const body = await call();
    respond(res, status, [json, ...headers], typeof body === 'string' ? body : JSON.stringify(body));
    answered('ok');
  } catch (thrown) {
    const error = tailraceErrorFrom(thrown);
    if (error.code === 'internal') log.error({ error: thrown }, 'a request could not be answered');
    refuseWith(res, error, answered, headers);
  }
}

/** `{"error":{"code":…,"message":…}}` under the code's status. */
export function refuseWith(
  res: HttpResponse,
  { code, message, retryable }: TailraceError,
  answered: Answered,
  headers: Headers = [],
): void {
  const retryAfter = retryable ? [['retry-after', '1'] as const] : [];
  const all = [json, ...retryAfter, ...headers];
  respond(res, statuses[code] ?? 500, all, errorBody(code, message));
  answered(code);
}
