/** The end of a partition is looked for every 500 ms; when it has not been reached for so long, the partition is not read up to now. */
const currentMs = 2_000;
/** A wall clock that is so far behind what went before by it was set back: the watermark follows it. */
const setBackMsMin = 10_000;

/**
 * How far in time a partition has been worked through: what the silence of its devices, and the absence of reports from a cut, are judged by.
 *
 * Everything that was in the log at the moment of a look at its end has been worked through once that end is reached. So while the log
 * has a fault, or this node lags behind it, time stands still here.
 */
export class Progress {
  /**
   * Epoch ms: what ingest took before has been worked through. By the newest report's `received`, less `slackMs` for the others that take reports at the
   * same time; and where none comes, by the clock of the owner at its last look. Goes back only where that clock does.
   */
  watermarkMs = 0;
  /**
   * Monotonic ms: everything appended before has been given to the channels that have joined, whichever node read it.
   * A change of owner does not take that back. Never goes back.
   */
  deliveredThroughMs = Number.NEGATIVE_INFINITY;
  /** Monotonic ms: everything appended before has been worked through. */
  #throughMs = Number.NEGATIVE_INFINITY;
  #sinceMs = Number.NEGATIVE_INFINITY;
  readonly #slackMs: number;
  /** Where the partition ended at the last look. */
  #end = 0;
  #oldestMs = Number.POSITIVE_INFINITY;
  #look: { readonly monotonicMs: number; readonly epochMs: number; readonly end: number } | undefined;

  constructor(slackMs: number) {
    this.#slackMs = slackMs;
  }

  /** The partition begins to be served here. */
  restart(): void {
    this.#throughMs = Number.NEGATIVE_INFINITY;
    this.#look = undefined;
    this.#end = 0;
  }

  /** Since when, without a pause, it has been read up to now; monotonic ms. */
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

  /** A report was worked through. A clock of an ingest that is ahead does not carry time with it. */
  took(receivedMs: number, nowMs: number): void {
    this.gave(receivedMs);
    const watermarkMs = (receivedMs < nowMs ? receivedMs : nowMs) - this.#slackMs;
    if (watermarkMs > this.watermarkMs) this.watermarkMs = watermarkMs;
    else if (nowMs < this.watermarkMs - setBackMsMin) this.watermarkMs = watermarkMs;
  }

  /** A report that ingest took at `receivedMs` goes to the views, or would. */
  gave(receivedMs: number): void {
    if (receivedMs < this.#oldestMs) this.#oldestMs = receivedMs;
  }

  /** Epoch ms: when ingest took the oldest report since it was asked last; infinite where there was none. */
  takeOldestMs(): number {
    const oldestMs = this.#oldestMs;
    this.#oldestMs = Number.POSITIVE_INFINITY;
    return oldestMs;
  }

  /** Records that were in the log at the last look, and are not worked through at `next`. */
  lagRecords(next: number): number {
    return Math.max(0, this.#end - next);
  }

  /** For how long at most something has been in the log without being worked through: the time between two looks while all is well. */
  lagMs(monotonicMs: number): number {
    if (this.#throughMs > Number.NEGATIVE_INFINITY) return Math.max(0, monotonicMs - this.#throughMs);
    return this.#look === undefined ? 0 : Math.max(0, monotonicMs - this.#look.monotonicMs);
  }

  /** The watermark of the owner; 0: it sends none. A clock of the owner that is ahead does not carry time with it. */
  hear(ownerMs: number, nowMs: number): void {
    const watermarkMs = Math.min(ownerMs, nowMs - this.#slackMs);
    if (watermarkMs > this.watermarkMs) this.watermarkMs = watermarkMs;
    else if (ownerMs > 0 && watermarkMs < this.watermarkMs - setBackMsMin) this.watermarkMs = watermarkMs;
  }

  /** Everything appended before `throughMs`, monotonic, has been given to the channels. */
  deliveredThrough(throughMs: number): void {
    if (throughMs > this.deliveredThroughMs) this.deliveredThroughMs = throughMs;
  }

  /** At these moments, or later, the partition ended at `end`. A look that has not been reached yet stays the one to reach. */
  look(monotonicMs: number, epochMs: number, end: number): void {
    this.#end = end;
    this.#look ??= { monotonicMs, epochMs, end };
  }

  /** Everything before `next` has been worked through. */
  reach(next: number): void {
    const look = this.#look;
    if (look === undefined || next < look.end) return;
    this.#look = undefined;
    if (look.monotonicMs - this.#throughMs > currentMs) this.#sinceMs = look.monotonicMs;
    this.#throughMs = look.monotonicMs;
    this.deliveredThrough(look.monotonicMs);
    this.hear(look.epochMs - this.#slackMs, look.epochMs);
  }
}
