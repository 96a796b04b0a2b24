import type { Deadband } from '@tailrace/protocol/client-message';
import type { Quality, Reading, Report } from '@tailrace/protocol/report';
import { effectiveTime } from '@tailrace/protocol/source-time';
import { type LastSentBudget, LastSentReadings } from './last-sent-readings.ts';

/**
 * The reading of a tag that was sent last. Clients that joined at different times may have received different numbers:
 * `low` and `high` are the lowest and the highest of them.
 */
interface LastSentReading {
  value: Reading['value'];
  low: number;
  high: number;
  readonly unit: string | undefined;
  readonly quality: Quality | undefined;
  /** Effective time of the reading that was sent, epoch ms, and of the newest reading, sent or held back. */
  readonly timeMs: number;
  newestMs: number;
}

/**
 * Holds back numbers that are close to the number sent last. Each reading is compared with the one that was sent, not
 * with the one before it: a slow drift adds up until it is sent. Readings are sent as they are.
 *
 * Worked example, absolute 1: of 20, 20.6, 21.0, 21.2 the first and the last are sent.
 *
 * A late reading, older than one that came before, is compared in the same way, and later readings are not compared
 * with it. If it is newer than the one sent last, it is held back: clients would take it for the last value, but a
 * newer reading was held back before. A historical report is sent whole, and no reading is compared with it.
 */
export class DeadbandFilter {
  readonly #absolute: number;
  readonly #fraction: number;
  readonly #lastSent: LastSentReadings<LastSentReading>;

  constructor(deadband: Deadband, budget: LastSentBudget) {
    this.#absolute = deadband.absolute ?? Number.POSITIVE_INFINITY;
    this.#fraction = (deadband.percent ?? Number.POSITIVE_INFINITY) / 100;
    this.#lastSent = new LastSentReadings(budget);
  }

  /**
   * Returns the readings of the report that have to be sent, and notes them as sent. Returns the same array for all.
   */
  filter(report: Report): readonly Reading[] {
    const { device, readings } = report;
    if (report.historical === true) return readings;
    let fewer: Reading[] | undefined;
    for (const [i, reading] of readings.entries()) {
      if (this.#mustSend(device, reading, effectiveTime(report, reading.time))) fewer?.push(reading);
      else fewer ??= readings.slice(0, i);
    }
    return fewer ?? readings;
  }

  /** Notes a reading that was sent to one client of the view alone. `isOnlyClient`: the view has no other. */
  noteSentToOne(device: string, reading: Reading, timeMs: number, isOnlyClient: boolean): void {
    const last = this.#lastSent.of(device)?.get(reading.tag);
    if (last === undefined) {
      if (isOnlyClient) this.#lastSent.set(device, reading.tag, lastSentFrom(reading, timeMs));
    } else if (!isLike(last, reading)) {
      // Clients have different readings: the next one is sent in any case.
      this.#lastSent.delete(device, reading.tag);
    } else if (typeof reading.value === 'number') {
      last.low = Math.min(last.low, reading.value);
      last.high = Math.max(last.high, reading.value);
      last.newestMs = Math.max(last.newestMs, timeMs);
    } else if (last.value !== reading.value) this.#lastSent.delete(device, reading.tag);
  }

  /** Forgets what was sent: no client of the view is left. */
  clear(): void {
    this.#lastSent.clear();
  }

  #mustSend(device: string, reading: Reading, timeMs: number): boolean {
    const last = this.#lastSent.of(device)?.get(reading.tag);
    if (last !== undefined) {
      if (timeMs < last.newestMs) return timeMs < last.timeMs && this.#differs(last, reading);
      last.newestMs = timeMs;
      if (!this.#differs(last, reading)) return false;
    }
    this.#lastSent.set(device, reading.tag, lastSentFrom(reading, timeMs));
    return true;
  }

  #differs(last: LastSentReading, reading: Reading): boolean {
    const { value } = reading;
    if (!isLike(last, reading)) return true;
    if (typeof value !== 'number') return value !== last.value;
    return this.#isBeyond(last.low, value) || this.#isBeyond(last.high, value);
  }

  #isBeyond(from: number, value: number): boolean {
    const difference = Math.abs(value - from);
    // Without `percent` and from 0 the product is NaN, and no difference exceeds it.
    return difference > this.#absolute || difference > Math.abs(from) * this.#fraction;
  }
}

function lastSentFrom({ value, unit, quality }: Reading, timeMs: number): LastSentReading {
  const number = typeof value === 'number' ? value : 0;
  return { value, low: number, high: number, unit, quality, timeMs, newestMs: timeMs };
}

/** Returns whether two readings have the same type, unit and quality. */
function isLike(last: LastSentReading, { value, unit, quality }: Reading): boolean {
  return typeof value === typeof last.value && unit === last.unit && quality === last.quality;
}
