import type { Clock } from '@tailrace/platform/clock';

/** One process's view of a clock that others share: while it stands still, what falls due waits, as for a process that is stopped by SIGSTOP. */
export interface StoppableClock extends Clock {
  pause(): void;
  /** What fell due meanwhile runs now, in its order; what repeats runs once. */
  resume(): void;
}

export function createStoppableClock(clock: Clock): StoppableClock {
  let paused = false;
  const due = new Set<() => void>();
  const gated = (call: () => void) => () => {
    if (paused) due.add(call);
    else call();
  };
  const after: Clock['after'] = (delayMs, call) => {
    const timer = clock.after(delayMs, gated(call));
    return {
      cancel() {
        timer.cancel();
        due.delete(call);
      },
    };
  };
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after,
    every(periodMs, call) {
      const timer = clock.every(periodMs, gated(call));
      return {
        cancel() {
          timer.cancel();
          due.delete(call);
        },
      };
    },
    sleep: (delayMs) => new Promise((resolve) => void after(delayMs, resolve)),
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      const calls = [...due];
      due.clear();
      for (const call of calls) call();
    },
  };
}
