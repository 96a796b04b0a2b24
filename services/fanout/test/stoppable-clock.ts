import type { Clock } from '@tailrace/platform/clock';

/** A process's view of a shared clock. While it is paused, due timers wait, as in a process stopped by SIGSTOP. */
export interface StoppableClock extends Clock {
  pause(): void;
  /** Runs the timers that fell due meanwhile, in order; a periodic one runs once. */
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
