/** The clock interface of the client. `Clock` of @tailrace/platform and the fake clock of @tailrace/testkit have it. */
export interface ClientClock {
  /** Returns the wall clock, epoch ms. */
  now(): number;
  /** Returns monotonic ms since an arbitrary start. */
  monotonic(): number;
  /** Calls `call` once, after `delayMs`. */
  after(delayMs: number, call: () => void): { cancel(): void };
}

/** The clock of the browser or Node.js. */
export const systemClock: ClientClock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, call) {
    // Timers of browsers and Node.js fire at once for a delay of more than 31 bits.
    const timer = setTimeout(call, Math.min(delayMs, 2 ** 31 - 1));
    return { cancel: () => clearTimeout(timer) };
  },
};
