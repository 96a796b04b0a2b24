/** Time as the client needs it. `Clock` of @tailrace/platform and the fake clock of @tailrace/testkit are such clocks. */
export interface ClientClock {
  /** Wall clock, epoch ms. */
  now(): number;
  /** Never goes back; ms since an arbitrary start. */
  monotonic(): number;
  /** Calls once after `delayMs`. */
  after(delayMs: number, call: () => void): { cancel(): void };
}

/** The clock of the browser or of Node. */
export const systemClock: ClientClock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, call) {
    // Timers of browsers and Node call at once where the delay does not fit into 31 bits.
    const timer = setTimeout(call, Math.min(delayMs, 2 ** 31 - 1));
    return { cancel: () => clearTimeout(timer) };
  },
};
