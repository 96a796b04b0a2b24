/** The end of a partition is polled every 500 ms. If that fails for this long, the log was interrupted. */
export const interruptedMs = 3_000;

/**
 * Since when the log has answered this process without an interruption, by partition, owned or not. A node that takes a
 * partition over knows by it that devices could report since then.
 */
export class LogAnswers {
  readonly #partitions = new Map<number, { sinceMs: number; lastMs: number }>();

  /**
   * Takes an answer about a partition at a monotonic time, ms. Returns since when the log has answered without an
   * interruption.
   */
  answered(partition: number, monotonicMs: number): number {
    const known = this.#partitions.get(partition);
    if (known !== undefined && monotonicMs - known.lastMs <= interruptedMs) {
      known.lastMs = monotonicMs;
      return known.sinceMs;
    }
    this.#partitions.set(partition, { sinceMs: monotonicMs, lastMs: monotonicMs });
    return monotonicMs;
  }
}
