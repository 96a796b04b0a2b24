import type { Clock } from '@tailrace/platform/clock';

/** Steps in which the sessions of a server that stops are closed. */
const steps = 20;
const sessionMs = 10;
const spanMsMax = 2_000;

/**
 * Returns the time in ms over which the sessions of a server that stops are closed: `leaveMs`, and 10 ms for each
 * session, at most two seconds, if that is longer.
 */
export function leaveSpanMs(sessions: number, leaveMs: number): number {
  return Math.max(leaveMs, Math.min(spanMsMax, sessions * sessionMs));
}

/** Closes sessions spread over `spanMs`, so that their devices do not all connect to another server at once. */
export async function leaveSpread(sessions: readonly { leave(): void }[], spanMs: number, clock: Clock): Promise<void> {
  let closed = 0;
  for (let step = 1; closed < sessions.length; step++) {
    const until = Math.ceil((sessions.length * step) / steps);
    for (; closed < until; closed++) sessions[closed]!.leave();
    if (closed < sessions.length) await clock.sleep(spanMs / steps);
  }
}
