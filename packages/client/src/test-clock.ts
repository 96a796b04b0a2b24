import type { ClientClock } from './clock.ts';

/** A clock that stands still until the test moves it, so that no test waits for a reconnect. */
export interface TestClock extends ClientClock {
  /** Lets `ms` pass: what falls due in between runs in its order, each with all that follows from it at once. */
  advance(ms: number): Promise<void>;
}

/** Timers that run in one `advance`, so that one which sets itself again with no delay ends the test and not the machine. */
const timersMax = 100_000;

/** `settled` resolves when nothing is under way. */
export function createTestClock(settled: () => Promise<void>, startMs = Date.UTC(2024, 0, 1)): TestClock {
  let elapsedMs = 0;
  const timers = new Set<{ readonly dueMs: number; readonly call: () => void }>();
  const nextDue = () => {
    let next: { readonly dueMs: number; readonly call: () => void } | undefined;
    for (const timer of timers) if (next === undefined || timer.dueMs < next.dueMs) next = timer;
    return next;
  };
  return {
    now: () => startMs + elapsedMs,
    monotonic: () => elapsedMs,
    after(delayMs, call) {
      const timer = { dueMs: elapsedMs + Math.max(0, delayMs), call };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    async advance(ms) {
      const untilMs = elapsedMs + Math.max(0, ms);
      await settled();
      for (let runs = 0; runs < timersMax; runs++) {
        const timer = nextDue();
        if (timer === undefined || timer.dueMs > untilMs) break;
        timers.delete(timer);
        elapsedMs = Math.max(elapsedMs, timer.dueMs);
        timer.call();
        await settled();
      }
      elapsedMs = untilMs;
    },
  };
}
