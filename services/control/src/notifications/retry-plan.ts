/**
 * When a notification is tried again. The first waits are short, because an alarm is urgent; then as the recommendation
 * of Standard Webhooks 1.0: over about a day, with jitter.
 */

/** Before each further attempt, ms. */
const waitsMs = [5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 28_800_000, 28_800_000];
/** Of a request whose content is refused: the next attempt has the same. */
const refusedAttemptsMax = 3;
const retryAfterMsMax = 3_600_000;
/** Part of a wait. */
const jitter = 0.1;

/**
 * The result of an attempt. `retry`: the target is away or busy. `refused`: it does not accept the content. `gone`: it
 * wants no further notifications (410).
 */
export type Outcome =
  | { readonly kind: 'sent' }
  | { readonly kind: 'retry' | 'refused' | 'gone'; readonly message: string; readonly retryAfterMs?: number };

/** Statuses by which a receiver refuses the content of a request. */
const refusedStatuses: ReadonlySet<number> = new Set([400, 413, 415, 422]);

/** Returns the outcome of an HTTP answer. A redirect is not followed. `retryAfter`: the header, '' for none. */
export function outcomeOf(status: number, body: string, retryAfter: string, nowMs: number): Outcome {
  if (status >= 200 && status < 300) return { kind: 'sent' };
  const message = `expected status 2xx, got ${status}${body === '' ? '' : `: ${body}`}`;
  if (status === 410) return { kind: 'gone', message };
  if (refusedStatuses.has(status)) return { kind: 'refused', message };
  const retryAfterMs = retryAfterFrom(retryAfter, nowMs);
  return { kind: 'retry', message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** Returns the wait that a server wants, ms (RFC 9110, 10.2.3): seconds or a date. */
function retryAfterFrom(text: string, nowMs: number): number | undefined {
  if (text === '') return undefined;
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(0, waitMs), retryAfterMsMax);
}

/**
 * Returns the wait before the next attempt, ms; undefined: there is none, and the notification becomes a dead letter.
 * `attempts`: so far. `random`: in [0, 1].
 */
export function retryWaitMs(
  outcome: Exclude<Outcome, { kind: 'sent' }>,
  attempts: number,
  random: () => number,
): number | undefined {
  if (outcome.kind === 'gone') return undefined;
  if (outcome.kind === 'refused' && attempts >= refusedAttemptsMax) return undefined;
  const waitMs = waitsMs[attempts - 1];
  if (waitMs === undefined) return undefined;
  return Math.max(Math.round(waitMs * (1 + jitter * (2 * random() - 1))), outcome.retryAfterMs ?? 0);
}
