import { type ErrorCode, shown, TailraceError } from '@tailrace/protocol/error';
import { retryAfterMs } from './retry-after.ts';

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

/** An answer names each refused report; one with more bytes than this, unpacked, is not from ingest. */
const answerBytesMax = 4 * 1024 * 1024;

/** What a status that ends the matter means; others are `internal`. */
const failures: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid_report',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
};

/**
 * Whether the same request may succeed later. A proxy answers with any 5xx while the server behind it restarts: 502 to
 * 504, 505 and 507, and those of its maker, such as 520 to 530 of a content delivery network. 501 alone says that it
 * will be so for good (RFC 9110, section 15.6.2). Below 400 something on the way has answered, as a portal that
 * redirects to its page; browsers hide the status of a redirect, 0.
 */
function isRetryable(status: number): boolean {
  return status < 400 || status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501);
}

/**
 * Reads a response to `POST /v1/ingest` of `count` reports. Never throws for what the response holds; a broken body
 * rejects as fetch does.
 */
export async function ingestAnswerFrom(response: Response, count: number, nowMs: number): Promise<IngestAnswer> {
  const { status } = response;
  const { text, isWhole } = await textOf(response);
  const body = isWhole ? objectFrom(text) : undefined;
  // Without a message of ingest's own it was something on the way that answered, in HTML: the beginning of that is
  // enough to recognize it.
  const to = response.headers.get('location');
  const reason =
    messageOf(body) ??
    `ingest, or a proxy before it, answered ${status}${to ? `, see ${shown(to)}` : ''}${text && `: ${shown(text)}`}`;
  const isTaken = status === 200 || status === 202;
  if (isTaken || status === 400) {
    const refusals = refusalsFrom(body, count);
    if (refusals !== undefined) return { kind: 'settled', refusals };
  }
  // Where something on the way has answered for ingest it is not known whether the reports are in the log. To send them
  // again is harmless (their ids).
  if (isTaken || isRetryable(status))
    return {
      kind: 'retry',
      afterMs: retryAfterMs(response.headers.get('retry-after'), nowMs),
      error: new TailraceError(status === 429 ? 'rate_limited' : 'unavailable', reason),
    };
  const isBody = status === 413;
  if (!isBody && status !== 431)
    return { kind: 'failed', error: new TailraceError(failures[status] ?? 'internal', reason) };
  const what = isBody ? 'request body' : 'request head, which carries the token,';
  return {
    kind: isBody ? 'split' : 'failed',
    error: new TailraceError('too_large', `the ${what} is too large: ${reason}`),
  };
}

/** Of an answer that is too long only the beginning is read: it may have no end, or be unpacked to any size. */
async function textOf(response: Response): Promise<{ readonly text: string; readonly isWhole: boolean }> {
  // React Native has no streams.
  if (!response.body) return { text: await response.text(), isWhole: true };
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (let bytes = 0; bytes <= answerBytesMax; ) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), isWhole: true };
    bytes += value.length;
    text += decoder.decode(value, { stream: true });
  }
  reader.cancel().catch(() => {});
  return { text, isWhole: false };
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

/** Undefined where the body is not an IngestResult for this many reports. */
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
    if (!Number.isInteger(index) || (index as number) < 0 || (index as number) >= count) return undefined;
    refusals.set(index as number, { code: String(code), message: String(message) });
  }
  // One that is named twice stands for another that is not in the log either.
  return refusals.size === rejected.length ? refusals : undefined;
}
