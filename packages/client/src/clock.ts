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
    const timer = setTimeout(call, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};
