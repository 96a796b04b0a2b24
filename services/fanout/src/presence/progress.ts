/** The end of a partition is polled every 500 ms. If it is not reached for this long, the partition is not current. */
const currentMs = 2_000;
/** A wall clock that is this far behind the watermark was set back: the watermark follows it. */
const setBackMsMin = 10_000;

/**
 * The time up to which a partition has been processed. Whether its devices are idle, and whether a cut is complete,
 * depends on it.
 *
 * When the end offset of a poll is reached, everything that was in the log at the time of the poll has been processed.
 * So this time does not advance while the log is unavailable, or this node lags behind it.
 */
export class Progress {
  /**
   * Epoch ms: reports that ingest received before have been processed. From `received` of the newest report, less
   * `slackMs` for other ingest processes; without reports, from the clock of the owner at its last poll. Decreases only
   * if that clock is set back.
   */
  watermarkMs = 0;
  /**
   * Monotonic ms: everything appended before has been delivered to the joined channels, whichever node read it. Never
   * decreases, not even with a change of owner.
   */
  deliveredThroughMs = Number.NEGATIVE_INFINITY;
  /** Monotonic ms: everything appended before has been processed. */
  #throughMs = Number.NEGATIVE_INFINITY;
  #sinceMs = Number.NEGATIVE_INFINITY;
  readonly #slackMs: number;
  /** End offset at the last poll. */
  #end = 0;
  /** The oldest poll whose end offset is not reached. */
  #poll: { readonly monotonicMs: number; readonly epochMs: number; readonly end: number } | undefined;

  constructor(slackMs: number) {
    this.#slackMs = slackMs;
  }

  /**
   * This node starts to serve the partition. Everything appended before `throughMs`, monotonic, has been processed;
   * negative infinity: unknown.
   */
  restart(throughMs: number): void {
    this.#throughMs = throughMs;
    this.#sinceMs = throughMs;
    this.#poll = undefined;
    this.#end = 0;
    this.deliveredThrough(throughMs);
  }

  /** Since when it has been current without a pause, monotonic ms. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Monotonic ms at which it was last known to be read to its end. */
  get throughMs(): number {
    return this.#throughMs;
  }

  isCurrent(monotonicMs: number): boolean {
    return monotonicMs - this.#throughMs <= currentMs;
  }

  /**
   * Takes processed reports, of which ingest received the newest at `receivedMs`. An ingest clock that is ahead does
   * not advance the watermark beyond `nowMs`.
   */
  onReports(receivedMs: number, nowMs: number): void {
    const watermarkMs = (receivedMs < nowMs ? receivedMs : nowMs) - this.#slackMs;
    if (watermarkMs > this.watermarkMs) this.watermarkMs = watermarkMs;
    else if (nowMs < this.watermarkMs - setBackMsMin) this.watermarkMs = watermarkMs;
  }

  /** Returns the records that were in the log at the last poll, and are not processed at `next`. */
  lagRecords(next: number): number {
    return Math.max(0, this.#end - next);
  }

  /** Returns the maximum age of a record that is not processed, ms: the time between two polls in normal operation. */
  lagMs(monotonicMs: number): number {
    if (this.#throughMs > Number.NEGATIVE_INFINITY) return Math.max(0, monotonicMs - this.#throughMs);
    return this.#poll === undefined ? 0 : Math.max(0, monotonicMs - this.#poll.monotonicMs);
  }

  /** Takes the watermark of the owner; 0: none. An owner's clock that is ahead does not advance it beyond `nowMs`. */
  onOwnerWatermark(ownerMs: number, nowMs: number): void {
    const watermarkMs = Math.min(ownerMs, nowMs - this.#slackMs);
    if (watermarkMs > this.watermarkMs) this.watermarkMs = watermarkMs;
    else if (ownerMs > 0 && watermarkMs < this.watermarkMs - setBackMsMin) this.watermarkMs = watermarkMs;
  }

  /** Everything appended before `throughMs`, monotonic, has been delivered to the channels. */
  deliveredThrough(throughMs: number): void {
    if (throughMs > this.deliveredThroughMs) this.deliveredThroughMs = throughMs;
  }

  /** Takes the end offset of a poll that started at these times. The oldest poll that is not reached is kept. */
  onLogEnd(monotonicMs: number, epochMs: number, end: number): void {
    this.#end = end;
    this.#poll ??= { monotonicMs, epochMs, end };
  }

  /** Everything before `next` has been processed. */
  reach(next: number): void {
    const poll = this.#poll;
    if (poll === undefined || next < poll.end) return;
    this.#poll = undefined;
    if (poll.monotonicMs - this.#throughMs > currentMs) this.#sinceMs = poll.monotonicMs;
    this.#throughMs = poll.monotonicMs;
    this.deliveredThrough(poll.monotonicMs);
    this.onOwnerWatermark(poll.epochMs - this.#slackMs, poll.epochMs);
  }
}
