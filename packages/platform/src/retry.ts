import { type BackoffOptions, backoffMs } from '@tailrace/protocol/backoff';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Clock } from './clock.ts';

export interface RetryOptions extends BackoffOptions {
  readonly clock: Pick<Clock, 'monotonic' | 'sleep'>;
  /** In [0, 1]: the share of each wait that is waited, so that attempts spread. `() => 1`: no jitter. */
  readonly random: () => number;
  /** After it no attempt starts; the last one may settle later. Default: none. */
  readonly deadlineMs?: number;
  /** Whether another attempt may succeed. Default: `retryable` of the error. */
  readonly isRetryable?: (error: unknown) => boolean;
  /** Called before each wait, for the logger. `retries`: 1 for the first. */
  readonly onRetry?: (error: unknown, retries: number, waitMs: number) => void;
}

/**
 * Calls `attempt` until it resolves, with exponential backoff and full jitter (`backoffMs`). Rejects with the last
 * error if that is not retryable, or if the next attempt would start after the deadline.
 */
export async function retry<T>(options: RetryOptions, attempt: () => Promise<T>): Promise<T> {
  const { clock, random, deadlineMs = Number.POSITIVE_INFINITY, onRetry } = options;
  const { isRetryable = (error) => tailraceErrorFrom(error).retryable } = options;
  const endMs = clock.monotonic() + deadlineMs;
  for (let retries = 1; ; retries++) {
    try {
      return await attempt();
    } catch (error) {
      const waitMs = backoffMs(retries - 1, random, options);
      if (!isRetryable(error) || clock.monotonic() + waitMs > endMs) throw error;
      onRetry?.(error, retries, waitMs);
      await clock.sleep(waitMs);
    }
  }
}
