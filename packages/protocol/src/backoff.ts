/** Bounds of the waits between attempts. */
export interface BackoffOptions {
  /** Upper bound of the first wait, ms. Default 250. */
  readonly baseMs?: number;
  /** Upper bound of every wait, ms. Default 15,000. */
  readonly capMs?: number;
}

/** Use it as `random` of `backoffMs` if few processes wait at the same time: every wait is its upper bound. */
export const noJitter = (): number => 1;

/**
 * Returns the wait before attempt number `attempt` (0 is the first retry), ms: exponential backoff with full jitter,
 * `random(0, min(cap, base · 2^attempt))`, after Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
 * 2015. Jitter over the whole span keeps ten thousand clients of a dead node from reconnecting at the same time.
 */
export function backoffMs(attempt: number, random: () => number, options: BackoffOptions = {}): number {
  const { baseMs = 250, capMs = 15_000 } = options;
  // 2^30 is beyond every cap and keeps the power finite after days of attempts.
  return random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));
}
