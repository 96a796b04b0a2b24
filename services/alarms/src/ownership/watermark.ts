import { interruptedMs } from './log-answers.ts';

/** A wall clock that is this far behind the watermark was set back: the watermark follows it. */
const setBackMsMin = 10_000;

export interface WatermarkLimits {
  /** How long after a report of one ingest process an earlier one of another may arrive, ms. */
  readonly slackMs: number;
  /** How long devices may take to report again after an interruption, ms. */
  readonly graceMs: number;
}

interface Poll {
  readonly monotonicMs: number;
  readonly epochMs: number;
  readonly end: number;
}

/**
 * The time up to which all reports of a partition have been evaluated, by the clocks of ingest. Delays that expire
 * without a report, and stale devices, depend on it and on no other clock.
 *
 * It follows the newest report, less `slackMs` for other ingest processes. In an idle partition it follows the polls of
 * the end: when the end of a poll is reached, everything received before the poll was evaluated.
 *
 * While the log is unavailable it stands still. When the log is back, the devices have `graceMs` to report again, since
 * ingest and its senders may have to reconnect, too: see `resumed`.
 */
export class Watermark {
  /** Epoch ms. Decreases only if the clock is set back. */
  ms = 0;
  /** Whether the end of a poll was reached: all reports from before the takeover were evaluated. */
  hasReachedEnd = false;
  readonly #limits: WatermarkLimits;
  /** The oldest poll whose end is not reached. */
  #poll: Poll | undefined;
  #end = 0;
  /** Monotonic ms: everything appended before was evaluated. */
  #throughMs: number;
  /** Monotonic ms at which the log has answered last. */
  #answeredMs: number;
  #isInterrupted: boolean;

  /** `isInterrupted`: whether the log may have been interrupted before this node has taken over. */
  constructor(limits: WatermarkLimits, monotonicMs: number, isInterrupted: boolean) {
    this.#limits = limits;
    this.#throughMs = monotonicMs;
    this.#answeredMs = monotonicMs;
    this.#isInterrupted = isInterrupted;
  }

  /** Returns the records that were in the log at the last poll, and are not evaluated at `next`. */
  lagRecords(next: number): number {
    return Math.max(0, this.#end - next);
  }

  /** Returns how long ago the partition was known to be evaluated to its end, ms. */
  ageMs(monotonicMs: number): number {
    return Math.max(0, monotonicMs - this.#throughMs);
  }

  /** Returns how long ago the log has answered last, ms. */
  unansweredMs(monotonicMs: number): number {
    return Math.max(0, monotonicMs - this.#answeredMs);
  }

  /**
   * Called before anything that the log has delivered is processed. Returns when the grace of the devices expires,
   * epoch ms, if the log was interrupted until now; once for each interruption.
   */
  resumed(monotonicMs: number, epochMs: number): number | undefined {
    const isInterrupted = this.#isInterrupted || monotonicMs - this.#answeredMs > interruptedMs;
    this.#isInterrupted = false;
    this.#answeredMs = monotonicMs;
    return isInterrupted ? epochMs + this.#limits.graceMs : undefined;
  }

  /** Takes an evaluated report that ingest received at `receivedMs`. */
  onReport(receivedMs: number, nowMs: number): void {
    // An ingest clock that is ahead does not advance the watermark beyond the present.
    this.#advance(Math.min(receivedMs, nowMs) - this.#limits.slackMs, nowMs);
  }

  /** Takes the end offset of a poll that started at these times. The oldest poll that is not reached is kept. */
  onLogEnd(monotonicMs: number, epochMs: number, end: number): void {
    this.#end = end;
    this.#poll ??= { monotonicMs, epochMs, end };
  }

  /** Everything before `next` was evaluated. */
  reach(next: number): void {
    const poll = this.#poll;
    if (poll === undefined || next < poll.end) return;
    this.#poll = undefined;
    this.hasReachedEnd = true;
    this.#throughMs = poll.monotonicMs;
    this.#advance(poll.epochMs - 2 * this.#limits.slackMs, poll.epochMs);
  }

  #advance(watermarkMs: number, nowMs: number): void {
    if (watermarkMs > this.ms || nowMs < this.ms - setBackMsMin) this.ms = watermarkMs;
  }
}
