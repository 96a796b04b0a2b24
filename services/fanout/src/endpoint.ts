import type { Log } from '@tailrace/platform/log';
import { type HttpResponse, respond } from '@tailrace/platform/webserver';
import { type TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Answered } from './endpointmetrics.ts';

const json = ['content-type', 'application/json'] as const;

const statuses: Readonly<Record<string, number>> = {
  invalid_path: 400,
  invalid_message: 400,
  unauthorized: 401,
  forbidden: 403,
  timeout: 408,
  too_large: 413,
  limit_reached: 503,
  unavailable: 503,
};

/** Answers with what `call` gives, as JSON, or with why it gives nothing. The response is watched for an abort already. Never rejects. */
export async function answerWith(
  res: HttpResponse,
  log: Log,
  status: number,
  answered: Answered,
  call: () => Promise<object>,
): Promise<void> {
  try {
    respond(res, status, [json], JSON.stringify(await call()));
    answered('ok');
  } catch (thrown) {
    const error = tailraceErrorFrom(thrown);
    if (error.code === 'internal') log.error({ error: thrown }, 'a request could not be answered');
    refuseWith(res, error, answered);
  }
}

/** `{"error":{"code":…,"message":…}}` under the code's status. */
export function refuseWith(res: HttpResponse, { code, message, retryable }: TailraceError, answered: Answered): void {
  const retryAfter = retryable ? [['retry-after', '1'] as const] : [];
  respond(res, statuses[code] ?? 500, [json, ...retryAfter], JSON.stringify({ error: { code, message } }));
  answered(code);
}
