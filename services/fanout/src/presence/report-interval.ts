export interface ReportIntervalLimits {
  /** A device may be idle for this many times its report interval and deviation, because reports may get lost. */
  readonly staleFactor: number;
  readonly staleMsMin: number;
  readonly staleMsMax: number;
}

/** Reports closer together than this are one burst, and count as one: the interval is measured between bursts. */
const burstMs = 1_000;
/** Gains of RFC 6298, section 2.3, for the interval; that of the deviation is twice as large. */
const gainMax = 1 / 8;
/** Gain for an interval that is short for the device: hundreds of them change the estimate, a few dozen do not. */
const gainMin = 1 / 64;
const outlierFactor = 4;
/** Bursts needed for an estimate, and for one in which a long interval is an outlier. */
const burstsMin = 3;
const burstsKnown = 8;

/**
 * The estimated report interval of one device, from the times at which ingest received its reports: a smoothed interval
 * and a smoothed deviation, as TCP estimates its retransmission timeout (V. Jacobson; RFC 6298, section 2).
 *
 * Two things differ. An interval that is short for the device changes both by less, in proportion to the time it
 * covers: a gateway that sends fifty stored reports at one a second, once an hour, keeps the interval of an hour. And
 * once the interval is known, a longer one counts as at most `outlierFactor` times the usual: a device that was broken
 * for a day is not allowed a day from then on.
 *
 * A few numbers a device, changed in place: a report allocates nothing.
 */
export class ReportInterval {
  /** When ingest received its newest report, epoch ms; 0: none. */
  lastMs = 0;
  /** When this node received its last report, seconds of the node's monotonic clock; negative: before its start. */
  reportedSecond = 0;
  /** Its slot in the timing wheel of `Freshness`; -1: none. */
  slot = -1;
  /** Smoothed; 0: unknown. */
  intervalMs = 0;
  #deviationMs = 0;
  /** Start of the last burst. */
  #burstStartMs = 0;
  #bursts = 0;

  /** Adds a report that ingest received at `atMs`. An older one than the last, as when it is read again, is ignored. */
  add(atMs: number): void {
    if (atMs > this.lastMs) this.lastMs = atMs;
    let intervalMs = atMs - this.#burstStartMs;
    if (intervalMs < burstMs) return;
    this.#burstStartMs = atMs;
    if (this.#bursts < burstsKnown) this.#bursts++;
    if (this.#bursts === 1) return;
    if (this.intervalMs === 0) {
      // Section 2.2: the first measurement.
      this.intervalMs = intervalMs;
      this.#deviationMs = intervalMs / 2;
      return;
    }
    if (this.#bursts === burstsKnown) {
      intervalMs = Math.min(intervalMs, outlierFactor * (this.intervalMs + 4 * this.#deviationMs));
    }
    const share = (gainMax * intervalMs) / this.intervalMs;
    const gain = share > gainMax ? gainMax : share < gainMin ? gainMin : share;
    this.#deviationMs += 2 * gain * (Math.abs(intervalMs - this.intervalMs) - this.#deviationMs);
    this.intervalMs += gain * (intervalMs - this.intervalMs);
  }

  /** Takes the estimate of a previous owner. It has no deviation, which starts as after a first measurement. */
  restore(intervalMs: number, lastMs: number): void {
    if (lastMs <= this.lastMs) return;
    this.lastMs = lastMs;
    this.#burstStartMs = lastMs;
    this.#bursts = intervalMs > 0 ? burstsKnown : 1;
    this.intervalMs = intervalMs;
    this.#deviationMs = intervalMs / 2;
  }

  /** Returns how long the device may be idle, ms; undefined while there are too few reports. */
  allowedMs(limits: ReportIntervalLimits): number | undefined {
    if (this.#bursts < burstsMin) return undefined;
    const { staleFactor, staleMsMin, staleMsMax } = limits;
    return Math.min(staleMsMax, Math.max(staleMsMin, (this.intervalMs + 4 * this.#deviationMs) * staleFactor));
  }
}
