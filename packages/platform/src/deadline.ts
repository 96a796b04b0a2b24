import type { Clock } from './clock.ts';

/**
 * Waits for the work, but no longer than `limitMs`: `done`, or `late` while the work goes on unwatched (a rejection after that is
 * dropped). Rejects as the work does. Leaves no timer behind.
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
