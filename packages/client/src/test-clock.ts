import type { ClientClock } from './clock.ts';

/** A virtual clock that only the test advances, so that no test waits for a reconnect. */
export interface TestClock extends ClientClock {
  /** Advances by `ms`: due timers run in order, each followed by the microtasks that it causes. */
  advance(ms: number): Promise<void>;
}

/** Most timers of one `advance`, so that a timer that restarts itself without delay does not hang the test. */
const timersMax = 100_000;

/** `settled` resolves when no message is in flight. */
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
