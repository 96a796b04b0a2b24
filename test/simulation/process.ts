import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Scheduler } from './scheduler.ts';

/** How a machine's clocks differ from the true time. */
export interface Skew {
  /** Offset of the wall clock, ms. */
  readonly offsetMs: number;
  /** Rate of both clocks: 1.001 is fast by a thousandth. */
  readonly rate: number;
}

/**
 * A simulated process: all calls, by timers or from outside, go through `call`, so that it can be suspended (SIGSTOP)
 * or killed (SIGKILL) between any two calls. Its clocks continue meanwhile, as those of a machine do.
 */
export class Process {
  readonly clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #skew: Skew;
  #state: 'running' | 'paused' | 'dead' = 'running';
  #timers: (() => void)[] = [];
  #calls: (() => void)[] = [];

  constructor(scheduler: Scheduler, skew: Skew) {
    this.#scheduler = scheduler;
    this.#skew = skew;
    this.clock = {
      now: () => scheduler.clock.now() + this.#skew.offsetMs + scheduler.nowMs * (this.#skew.rate - 1),
      monotonic: () => scheduler.nowMs * this.#skew.rate,
      after: (delayMs, call) => this.#after(delayMs, call),
      every: (periodMs, call) => this.#every(Math.max(1, periodMs), call),
      sleep: (delayMs) => new Promise((resolve) => void this.#after(delayMs, resolve)),
    };
  }

  get state(): 'running' | 'paused' | 'dead' {
    return this.#state;
  }

  /** Calls now, after it is resumed, or never. */
  call(call: () => void): void {
    if (this.#state === 'running') call();
    else if (this.#state === 'paused') this.#calls.push(call);
  }

  /** Delays a result from outside while the process is suspended. A dead process never gets it. */
  gate<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.call(() => resolve(value)),
        (thrown) => this.call(() => reject(thrown as Error)),
      );
    });
  }

  pause(): void {
    if (this.#state === 'running') this.#state = 'paused';
  }

  /** Due timers run first, then calls from outside, as in an event loop. */
  resume(): void {
    if (this.#state !== 'paused') return;
    const waiting = [...this.#timers, ...this.#calls];
    this.#timers = [];
    this.#calls = [];
    const next = () => {
      if (this.#state !== 'paused') return;
      // Calls that arrive meanwhile wait behind the earlier ones.
      const call = waiting.shift() ?? this.#timers.shift() ?? this.#calls.shift();
      if (call === undefined) {
        this.#state = 'running';
        return;
      }
      this.#scheduler.at(0, next);
      call();
    };
    this.#scheduler.at(0, next);
  }

  kill(): void {
    this.#state = 'dead';
    this.#timers = [];
    this.#calls = [];
  }

  #after(delayMs: number, call: () => void): Timer {
    let cancelled = false;
    const run = () => {
      if (!cancelled) call();
    };
    const timer = this.#scheduler.at(wait(delayMs) / this.#skew.rate, () => this.#due(run));
    return {
      cancel() {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  /** As in Node.js: after a suspension it is called once, not for every period that has passed. */
  #every(periodMs: number, call: () => void): Timer {
    let timer: Timer;
    const again = () => {
      timer = this.#after(periodMs, again);
      call();
    };
    timer = this.#after(periodMs, again);
    return { cancel: () => timer.cancel() };
  }

  #due(run: () => void): void {
    if (this.#state === 'running') run();
    else if (this.#state === 'paused') this.#timers.push(run);
  }
}

function wait(ms: number): number {
  return ms > 0 ? ms : 0;
}
