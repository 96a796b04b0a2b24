import { type ErrorCode, shown, TailraceError } from '@tailrace/protocol/error';
import { retryAfterMs } from './retryafter.ts';

/**
 * What an answer of ingest means for the batch that was sent.
 * - `settled`: each report is in the log or refused; `refusals` by index.
 * - `retry`: later, not before `afterMs` where the server said so.
 * - `split`: too much at once.
 * - `failed`: the whole batch, for good.
 */
export type IngestAnswer =
  | {
      readonly kind: 'settled';
      readonly refusals: ReadonlyMap<number, { readonly code: string; readonly message: string }>;
    }
  | { readonly kind: 'retry'; readonly afterMs: number | undefined; readonly error: TailraceError }
  | { readonly kind: 'split'; readonly error: TailraceError }
  | { readonly kind: 'failed'; readonly error: TailraceError };

/** An answer names each refused report; more text than this is not from ingest. */
const answerCharactersMax = 4 * 1024 * 1024;

/** Reads a response to `POST /v1/ingest` of `count` reports. Never throws for what the server said; a broken body rejects as fetch does. */
export async function ingestAnswerFrom(response: Response, count: number, nowMs: number): Promise<IngestAnswer> {
  const { status } = response;
  const text = await response.text();
  const body = text.length > answerCharactersMax ? undefined : objectFrom(text);
  // Without a message of ingest's own it was something on the way that answered, in HTML: the beginning of that is enough to recognise it.
  const said = messageOf(body) ?? `ingest, or a proxy before it, answered ${status}${text && `: ${shown(text)}`}`;
  const failed = (code: ErrorCode, message = said): IngestAnswer => ({
    kind: 'failed',
    error: new TailraceError(code, message),
  });
  const retry = (code: ErrorCode, message = said): IngestAnswer => ({
    kind: 'retry',
    afterMs: retryAfterMs(response.headers.get('retry-after'), nowMs),
    error: new TailraceError(code, message),
  });
  // A proxy answers with any of these while the server behind it restarts: 502 to 504, 505 and 507, and those of its maker, such as 520 to 530 of a
  // content delivery network. 501 alone says that it will be so for good (RFC 9110, section 15.6.2).
  if (status >= 500 && status !== 501) return retry('unavailable');
  switch (status) {
    case 200:
    case 202:
    case 400: {
      const refusals = refusalsFrom(body, count);
      if (refusals !== undefined) return { kind: 'settled', refusals };
      if (status === 400) return failed('invalid_report');
      // Something between us answered: whether the reports are in the log is not known, and sending again is harmless (their ids).
      return retry('unavailable', `the answer to a publish is not understood: ${shown(text)}`);
    }
    case 401:
      return failed('unauthorized');
    case 403:
      return failed('forbidden');
    case 404:
      return failed('not_found');
    case 408:
    case 425:
      return retry('unavailable');
    case 413:
      return { kind: 'split', error: new TailraceError('too_large', `the request body is too large: ${said}`) };
    case 429:
      return retry('rate_limited');
    case 431:
      return failed('too_large', `the request head, which carries the token, is too large: ${said}`);
    default:
      return failed('internal');
  }
}

function objectFrom(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** `{"error":{"code","message"}}` or `{"code","message"}`. */
function messageOf(body: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const error = body?.['error'];
  const holder = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : body;
  const message = holder?.['message'];
  return typeof message === 'string' && message !== '' ? message.slice(0, 500) : undefined;
}

/** Nothing where the body is not an IngestResult for this many reports. */
function refusalsFrom(body: Readonly<Record<string, unknown>> | undefined, count: number) {
  const accepted = body?.['accepted'] ?? 0;
  const rejected = body?.['rejected'] ?? [];
  if (
    body === undefined ||
    typeof accepted !== 'number' ||
    !Array.isArray(rejected) ||
    accepted + rejected.length !== count
  )
    return undefined;
  const refusals = new Map<number, { code: ErrorCode | string; message: string }>();
  for (const item of rejected as unknown[]) {
    if (typeof item !== 'object' || item === null) return undefined;
    const { index = 0, code, message } = item as { index?: unknown; code?: unknown; message?: unknown };
    if (typeof index !== 'number' || index < 0 || index >= count) return undefined;
    refusals.set(index, { code: String(code), message: String(message) });
  }
  return refusals;
}
