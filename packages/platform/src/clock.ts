/** Time as a parameter, so that a whole cluster can run on a virtual clock. */
export interface Clock {
  /** Wall clock, epoch ms. */
  now(): number;
  /** Ms since an arbitrary start; never decreases. For durations. */
  monotonic(): number;
  /** Calls once after `delayMs`. The timer keeps the process alive, as in Node. */
  after(delayMs: number, call: () => void): Timer;
  /** Calls every `periodMs`. */
  every(periodMs: number, call: () => void): Timer;
  sleep(delayMs: number): Promise<void>;
}

/** Returns the whole second of a time in ms, of either clock. */
export function secondOf(ms: number): number {
  return Math.floor(ms / 1_000);
}

export interface Timer {
  /** Idempotent. */
  cancel(): void;
}

/** Node.js calls at once, and warns, if a delay does not fit into 31 bits. */
const delayMsMax = 2 ** 31 - 1;
const fitting = (delayMs: number) => Math.min(delayMs, delayMsMax);

/** Delays are at most 24.8 days. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, call) {
    const timer = setTimeout(call, fitting(delayMs));
    return { cancel: () => clearTimeout(timer) };
  },
  every(periodMs, call) {
    const timer = setInterval(call, fitting(periodMs));
    return { cancel: () => clearInterval(timer) };
  },
  sleep: (delayMs) => new Promise((resolve) => setTimeout(resolve, fitting(delayMs))),
};
