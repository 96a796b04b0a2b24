/**
 * Keeps a backlog below the rate of messages that ingest accepts of each device, so that live reports of the device are
 * not refused. A token bucket for each device, as the time until which its tokens are spent (GCRA).
 */
export class DevicePace {
  /** By device, monotonic ms. */
  readonly #spentUntilMs = new Map<string, number>();
  readonly #share: number;

  /** `share`: of the rate. */
  constructor(share: number) {
    this.#share = share;
  }

  /**
   * Counts the messages of a batch. Returns until when no further batch is to be sent, monotonic ms. `perSecond`:
   * messages of a device that ingest accepts.
   */
  sent(devices: Iterable<string>, perSecond: number, nowMs: number): number {
    const eachMs = 1_000 / (Math.max(1, perSecond) * this.#share);
    let latest = nowMs;
    for (const device of devices) {
      const spent = Math.max(nowMs, this.#spentUntilMs.get(device) ?? 0) + eachMs;
      this.#spentUntilMs.set(device, spent);
      if (spent > latest) latest = spent;
    }
    // A batch may be as large as the burst of a device: then the next one waits longer.
    return latest - burstMs;
  }

  clear(): void {
    this.#spentUntilMs.clear();
  }
}

/** How far a batch may be ahead of the rate. Ingest accepts five seconds at once by default. */
const burstMs = 1_000;
