/**
 * How long a report may take from its device to the log, ms, beyond what its predecessor took. A delay that no later
 * report has confirmed counts as passed this long after its end by the clock of ingest. So a report that contradicts it
 * and is on its way is waited for.
 */
export const latenessMs = 500;

/** A condition with an on-delay and an off-delay, and the change of it that is pending. */
export interface Delays {
  readonly onDelayMs: number;
  readonly offDelayMs: number;
}

/** As plain data: event time and position of the last change; of a pending one, also the time it was received. */
export type DelayedConditionState = readonly [
  active: 0 | 1,
  changedTime: number,
  changedSeq: number,
  pendingTime?: number,
  pendingReceived?: number,
  pendingSeq?: number,
];

/**
 * A condition that becomes active when its signal was true for the on-delay, and inactive when it was false for the
 * off-delay.
 *
 * Delays are in event time, the clock of the device: a later report proves that a delay has passed, however late or
 * early it is received. For devices that do not report, the clock of ingest proves it, by the watermark.
 *
 * An unknown signal changes nothing, and cancels what is pending: neither the condition nor its absence has lasted.
 */
export class DelayedCondition {
  isActive = false;
  /** NaN: nothing is pending. */
  pendingTime: number = Number.NaN;
  pendingReceived = 0;
  pendingSeq = 0;
  /** Event time and position of the last change, for the transition that it causes. */
  changedTime = 0;
  changedSeq = 0;

  get isPending(): boolean {
    return !Number.isNaN(this.pendingTime);
  }

  /**
   * Takes the signal as of a report. `graceTime`: nothing becomes active before this event time. Returns whether the
   * condition has changed.
   */
  input(
    signal: boolean | undefined,
    delays: Delays,
    graceTime: number,
    time: number,
    received: number,
    seq: number,
  ): boolean {
    if (signal === undefined || signal === this.isActive) {
      this.pendingTime = Number.NaN;
      return false;
    }
    if (this.isPending) return false;
    const delayMs = signal ? delays.onDelayMs : delays.offDelayMs;
    if (delayMs > 0 || (signal && graceTime > time)) {
      this.pendingTime = time;
      this.pendingReceived = received;
      this.pendingSeq = seq;
      return false;
    }
    this.isActive = signal;
    this.changedTime = time;
    this.changedSeq = seq;
    return true;
  }

  /** When the pending change is due by event time; infinite: nothing is pending. */
  eventDue(delays: Delays, graceTime: number): number {
    if (!this.isPending) return Number.POSITIVE_INFINITY;
    return this.isActive
      ? this.pendingTime + delays.offDelayMs
      : Math.max(this.pendingTime + delays.onDelayMs, graceTime);
  }

  /** When the pending change is due by the clock of ingest; infinite: nothing is pending. */
  receivedDue(delays: Delays, graceReceived: number): number {
    if (!this.isPending) return Number.POSITIVE_INFINITY;
    const due = this.isActive
      ? this.pendingReceived + delays.offDelayMs
      : Math.max(this.pendingReceived + delays.onDelayMs, graceReceived);
    return due + latenessMs;
  }

  /** The pending change is due. */
  fire(delays: Delays, graceTime: number): void {
    this.changedTime = this.eventDue(delays, graceTime);
    this.changedSeq = this.pendingSeq;
    this.isActive = !this.isActive;
    this.pendingTime = Number.NaN;
  }

  state(): DelayedConditionState {
    const { changedTime, changedSeq, pendingTime, pendingReceived, pendingSeq } = this;
    const active = this.isActive ? 1 : 0;
    if (!this.isPending) return [active, changedTime, changedSeq];
    return [active, changedTime, changedSeq, pendingTime, pendingReceived, pendingSeq];
  }

  restore(state: DelayedConditionState): void {
    const [active, changedTime, changedSeq, pendingTime = Number.NaN, pendingReceived = 0, pendingSeq = 0] = state;
    this.isActive = active === 1;
    this.changedTime = changedTime;
    this.changedSeq = changedSeq;
    this.pendingTime = pendingTime;
    this.pendingReceived = pendingReceived;
    this.pendingSeq = pendingSeq;
  }
}
