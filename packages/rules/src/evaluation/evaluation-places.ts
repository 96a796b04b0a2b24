import type { EvaluatedTo } from './point-state.ts';

const never = Number.POSITIVE_INFINITY;
/** More than the resolution of a number for the time of now in ms. */
const placeStepMs = 0.001;

/** What has been evaluated up to a place: a rule at a device. */
interface Evaluated {
  readonly evaluatedTo: EvaluatedTo;
  readonly evaluatedSeq: number;
  compareTo(seq: number, batch: number, timersMs: number): number;
}

/**
 * The places at which the rules of a device are evaluated, in the order of `EvaluatedTo`. It assigns a place to each
 * timer by the clock of ingest, to each action and to each change of rules.
 *
 * After a takeover it knows what the former owner has evaluated: rules with a transition that was adopted are ahead of
 * the device (`isCovered`), and of the last transition some that came with it may not be written (`unfinished`).
 */
export class EvaluationPlaces {
  /** Of the last timer by the clock of ingest. */
  firedMs = 0;
  /** Of the last transition that was adopted: what came with it may be unwritten. */
  unfinished: EvaluatedTo | undefined;
  /** Reports up to here are evaluated by some rules, although the device has not received them yet. */
  #coveredSeq = -1;

  /** Takes the place of a transition that a former owner has written. */
  adopt(evaluatedTo: EvaluatedTo | undefined): void {
    this.unfinished = evaluatedTo?.cause === 'rules' ? undefined : evaluatedTo;
  }

  setRules(all: readonly Evaluated[]): void {
    this.#coveredSeq = Math.max(-1, ...all.map(({ evaluatedSeq }) => evaluatedSeq));
  }

  /** Returns whether the state of a rule includes this place. */
  isCovered(rule: Evaluated, seq: number, batch: number, timersMs: number): boolean {
    return seq <= this.#coveredSeq && rule.compareTo(seq, batch, timersMs) >= 0;
  }

  /** Returns whether this place has a transition that was adopted, and possibly others that were not written. */
  isUnfinished(cause: EvaluatedTo['cause'], seq: number, batch: number): boolean {
    const last = this.unfinished;
    return last !== undefined && last.cause === cause && last.seq === seq && (last.batch ?? never) === batch;
  }

  unfinishedDue(...causes: readonly EvaluatedTo['cause'][]): number {
    const last = this.unfinished;
    return last !== undefined && causes.includes(last.cause) ? (last.timersMs ?? 0) : never;
  }

  /**
   * Returns the time of a timer for `EvaluatedTo`, which rises with each one. A timer may be due before the last one:
   * a new rule finds that its delay has passed long ago.
   */
  timerMs(dueMs: number): number {
    return dueMs > this.firedMs ? dueMs : this.firedMs + placeStepMs;
  }

  /** The place of an action or of new rules: after all timers so far, unless the former owner's are still to come. */
  next(seq: number, all: readonly Evaluated[]): EvaluatedTo {
    if (this.unfinished === undefined) {
      for (const { evaluatedTo } of all) {
        const { seq: toSeq, batch, timersMs = 0 } = evaluatedTo;
        if (toSeq === seq && batch === undefined) this.firedMs = Math.max(this.firedMs, timersMs);
      }
      this.firedMs += placeStepMs;
    }
    return { seq, timersMs: this.firedMs };
  }
}
