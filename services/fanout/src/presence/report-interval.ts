export interface ReportIntervalLimits {
  /** So many times what its rhythm allows a device may be silent, for reports that got lost on the way. */
  readonly staleFactor: number;
  readonly staleMsMin: number;
  readonly staleMsMax: number;
}

/** Reports nearer to each other than this are one utterance: a burst says nothing of how often a device speaks. */
const utteranceMs = 1_000;
/** Gains of RFC 6298, section 2.3, for the interval; the deviation's is twice as large. */
const gainMax = 1 / 8;
/** Of an interval that is short for the device: hundreds of them are a new rhythm, a few dozen are not. */
const gainMin = 1 / 64;
const silenceFactor = 4;
/** To be judged; and to have a rhythm of which one silence is an exception. */
const utterancesMin = 3;
const utterancesKnown = 8;

/**
 * How often one device speaks, learnt from the times at which ingest took its reports: a smoothed interval and a smoothed deviation from it, as TCP
 * estimates the time after which an answer is overdue (V. Jacobson; RFC 6298, section 2). Other than there, an interval that is short for the device moves both by
 * less, in proportion to the time it covers: a gateway that hands over fifty stored reports at one a second, once an hour, still has the rhythm of an hour. And once
 * it is known, a silence counts as at most `silenceFactor` of what was usual: a device that was broken for a day is not given a day from then on.
 *
 * A few numbers a device, changed in place: nothing is allocated per report.
 */
export class ReportInterval {
  /** Its newest report, epoch ms by ingest's clock; 0: none. */
  lastMs = 0;
  /** When this node last heard of it, seconds of the node's monotonic clock; before the node's start it is negative. */
  heardSecond = 0;
  /** Where it waits to be looked at; -1: nowhere. See `Freshness`. */
  slot = -1;
  /** Smoothed; 0: not known yet. */
  intervalMs = 0;
  #deviationMs = 0;
  /** Beginning of the last utterance. */
  #spokeMs = 0;
  #utterances = 0;

  /** A report that ingest took then. One that is older than what is known, which is read for the second time or came another way, says nothing. */
  heard(atMs: number): void {
    if (atMs > this.lastMs) this.lastMs = atMs;
    let intervalMs = atMs - this.#spokeMs;
    if (intervalMs < utteranceMs) return;
    this.#spokeMs = atMs;
    if (this.#utterances < utterancesKnown) this.#utterances++;
    if (this.#utterances === 1) return;
    if (this.intervalMs === 0) {
      // Section 2.2: the first measurement.
      this.intervalMs = intervalMs;
      this.#deviationMs = intervalMs / 2;
      return;
    }
    if (this.#utterances === utterancesKnown) {
      intervalMs = Math.min(intervalMs, silenceFactor * (this.intervalMs + 4 * this.#deviationMs));
    }
    const share = (gainMax * intervalMs) / this.intervalMs;
    const gain = share > gainMax ? gainMax : share < gainMin ? gainMin : share;
    this.#deviationMs += 2 * gain * (Math.abs(intervalMs - this.intervalMs) - this.#deviationMs);
    this.intervalMs += gain * (intervalMs - this.intervalMs);
  }

  /** As its owner before had learnt it. The deviation is not kept: it begins as after a first measurement. */
  restore(intervalMs: number, lastMs: number): void {
    if (lastMs <= this.lastMs) return;
    this.lastMs = lastMs;
    this.#spokeMs = lastMs;
    this.#utterances = intervalMs > 0 ? utterancesKnown : 1;
    this.intervalMs = intervalMs;
    this.#deviationMs = intervalMs / 2;
  }

  /** How long the device may be silent, ms; undefined while it has spoken too seldom to say. */
  allowedMs(limits: ReportIntervalLimits): number | undefined {
    if (this.#utterances < utterancesMin) return undefined;
    const { staleFactor, staleMsMin, staleMsMax } = limits;
    return Math.min(staleMsMax, Math.max(staleMsMin, (this.intervalMs + 4 * this.#deviationMs) * staleFactor));
  }
}
