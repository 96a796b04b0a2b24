import { type ErrorCode, shown, TailraceError } from '@tailrace/protocol/error';
import { retryAfterMs } from './retry-after.ts';

/**
 * The meaning of a response of ingest for the batch that was sent.
 * - `settled`: each report is in the log or refused; `refusals` are by index.
 * - `retry`: to be sent again, not before `afterMs` where the server sent `Retry-After`.
 * - `split`: to be sent in smaller batches.
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

/** A response of ingest names each refused report. One with more decompressed bytes than this is not from ingest. */
const answerBytesMax = 4 * 1024 * 1024;

/** Error codes of final statuses; others are `internal`. */
const failures: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid_report',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
};

/**
 * Returns whether the same request may succeed later. Proxies respond with any 5xx while their upstream restarts: 502
 * to 504, 505 and 507, and vendors' own, such as 520 to 530 of a content delivery network. Only 501 is permanent (RFC
 * 9110, section 15.6.2). Statuses below 400 come from an intermediary, such as a captive portal that redirects to its
 * page. Browsers hide the status of a redirect, 0.
 */
function isRetryable(status: number): boolean {
  return status < 400 || status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501);
}

/**
 * Parses a response to `POST /v1/ingest` of `count` reports. Never throws for the content of the response; a broken
 * body rejects as fetch does.
 */
export async function ingestAnswerFrom(response: Response, count: number, nowMs: number): Promise<IngestAnswer> {
  const { status } = response;
  const { text, isWhole } = await textOf(response);
  const body = isWhole ? objectFrom(text) : undefined;
  // Without an error of ingest the response is from an intermediary, usually in HTML, whose first characters identify
  // it.
  const to = response.headers.get('location');
  const reason =
    messageOf(body) ??
    `ingest, or a proxy before it, answered ${status}${to ? `, see ${shown(to)}` : ''}${text && `: ${shown(text)}`}`;
  const isTaken = status === 200 || status === 202;
  if (isTaken || status === 400) {
    const refusals = refusalsFrom(body, count);
    if (refusals !== undefined) return { kind: 'settled', refusals };
  }
  // After a response of an intermediary it is unknown whether the reports are in the log. A retry is harmless, because
  // they have message IDs.
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

/** Reads at most `answerBytesMax` bytes: a response may be endless, or decompress to any size. */
async function textOf(response: Response): Promise<{ readonly text: string; readonly isWhole: boolean }> {
  // React Native has no response streams.
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

/** Returns the message of `{"error":{"code","message"}}` or `{"code","message"}`. */
function messageOf(body: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const error = body?.['error'];
  const holder = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : body;
  const message = holder?.['message'];
  return typeof message === 'string' && message !== '' ? message.slice(0, 500) : undefined;
}

/** Returns the refusals of an IngestResult for `count` reports; undefined for any other body. */
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
  // A repeated index stands for another report that is not in the log either.
  return refusals.size === rejected.length ? refusals : undefined;
}
