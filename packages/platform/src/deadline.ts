import type { Clock } from './clock.ts';

/**
 * Waits for the work, at most `limitMs`. Resolves with `done`, or with `late` while the work continues; a later
 * rejection is ignored. Rejects as the work does. Leaves no timer behind.
 */
export async function withinDeadline(
  clock: Clock,
  limitMs: number,
  work: () => Promise<void>,
): Promise<'done' | 'late'> {
  const late = Promise.withResolvers<'late'>();
  const timer = clock.after(limitMs, () => late.resolve('late'));
  try {
    return await Promise.race([work().then(() => 'done' as const), late.promise]);
  } finally {
    timer.cancel();
  }
}
