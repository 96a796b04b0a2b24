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
  const text = await response.text();
  const body = text.length > answerCharactersMax ? undefined : objectFrom(text);
  const said = messageOf(body) ?? `ingest answered ${response.status}`;
  switch (response.status) {
    case 200:
    case 202:
    case 400: {
      const refusals = refusalsFrom(body, count);
      if (refusals !== undefined) return { kind: 'settled', refusals };
      if (response.status === 400) return { kind: 'failed', error: new TailraceError('invalid_report', said) };
      // Something between us answered: whether the reports are in the log is not known, and sending again is harmless (their ids).
      return {
        kind: 'retry',
        afterMs: undefined,
        error: new TailraceError('unavailable', `the answer to a publish is not understood: ${shown(text)}`),
      };
    }
    case 401:
      return { kind: 'failed', error: new TailraceError('unauthorized', said) };
    case 403:
      return { kind: 'failed', error: new TailraceError('forbidden', said) };
    case 413:
      return { kind: 'split', error: new TailraceError('too_large', said) };
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return {
        kind: 'retry',
        afterMs: retryAfterMs(response.headers.get('retry-after'), nowMs),
        error: new TailraceError(response.status === 429 ? 'rate_limited' : 'unavailable', said),
      };
    default:
      return { kind: 'failed', error: new TailraceError('internal', said) };
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
