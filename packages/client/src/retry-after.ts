/** Upper bound of the wait, ms. */
export const retryAfterMsMax = 300_000;

/**
 * Returns the wait of a `Retry-After` header (RFC 9110, 10.2.3: seconds, or a date), ms, at most `retryAfterMsMax`.
 * Undefined where the header is absent or invalid.
 */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  const text = header?.trim() ?? '';
  if (text === '') return undefined;
  const waitMs = /^\d{1,10}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(waitMs) ? undefined : Math.min(retryAfterMsMax, Math.max(0, waitMs));
}
