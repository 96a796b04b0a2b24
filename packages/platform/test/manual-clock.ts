import type { Clock, Timer } from '../src/clock.ts';

interface Pending {
  dueMs: number;
  readonly periodMs: number | undefined;
  readonly call: () => void;
}

/** A clock that stands still until it is advanced, for the tests of this package, which the testkit imports. */
export interface ManualClock extends Clock {
  /** Advances the time and calls the due timers, each at its time. */
  advance(byMs: number): void;
  /**
   * Advances the time without calling timers, like a blocked event loop. The next `advance` calls the overdue timers.
   */
  block(byMs: number): void;
  /** The number of pending timers. */
  timers(): number;
}

export function createManualClock(startMs = 1_700_000_000_000): ManualClock {
  let passedMs = 0;
  const pending = new Set<Pending>();

  function add(delayMs: number, call: () => void, periodMs?: number): Timer {
    const timer: Pending = { dueMs: passedMs + delayMs, periodMs, call };
    pending.add(timer);
    return { cancel: () => void pending.delete(timer) };
  }

  function fire(timer: Pending): void {
    // As in Node.js, an interval restarts when it is called, not when it was due.
    if (timer.periodMs === undefined) pending.delete(timer);
    else timer.dueMs = passedMs + timer.periodMs;
    timer.call();
  }

  return {
    now: () => startMs + passedMs,
    monotonic: () => passedMs,
    after: (delayMs, call) => add(delayMs, call),
    every: (periodMs, call) => add(periodMs, call, periodMs),
    sleep: (delayMs) => new Promise((resolve) => void add(delayMs, resolve)),
    advance(byMs) {
      const untilMs = passedMs + byMs;
      for (;;) {
        const next = [...pending].filter((timer) => timer.dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs)[0];
        if (!next) break;
        passedMs = Math.max(passedMs, next.dueMs);
        fire(next);
      }
      passedMs = untilMs;
    },
    block(byMs) {
      passedMs += byMs;
    },
    timers: () => pending.size,
  };
}
