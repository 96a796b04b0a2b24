import type { Clock, Timer } from '../src/clock.ts';

interface Pending {
  dueMs: number;
  readonly periodMs: number | undefined;
  readonly call: () => void;
}

/** A clock that stands until it is moved, for the tests of this package, which is below the testkit. */
export interface ManualClock extends Clock {
  /** Moves time on, calling what falls due, each at its time. */
  advance(byMs: number): void;
  /** Moves time on without calling anything: what a blocked event loop looks like. The next `advance` finds the timers overdue. */
  block(byMs: number): void;
  /** Timers that still wait: 0 where nothing is left behind. */
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
    // Like Node's: an interval counts from the moment it was served, not from when it was due.
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
