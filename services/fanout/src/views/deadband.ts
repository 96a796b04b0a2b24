import type { Deadband } from '@tailrace/protocol/client-message';
import type { Quality, Reading, Report } from '@tailrace/protocol/report';
import { effectiveTime } from '@tailrace/protocol/source-time';
import { type LastSentBudget, LastSentReadings } from './last-sent-readings.ts';

/** The last telling of a tag. Clients that came at different moments may have been told different numbers: the lowest and the highest of them. */
interface LastSentReading {
  value: Reading['value'];
  low: number;
  high: number;
  readonly unit: string | undefined;
  readonly quality: Quality | undefined;
  /** Effective time of what was told, epoch ms; and of the newest reading, told or held back. */
  readonly timeMs: number;
  newestMs: number;
}

/**
 * Holds back numbers that are about what was told last. What is told is always the reading itself, and it is compared with what was told, not with the
 * reading before: a slow drift adds up until it is told.
 *
 * Worked example, absolute 1: of 20, 20.6, 21.0, 21.2 the first and the last are told.
 *
 * A late reading, older than one that came before, is compared alike, and nothing is compared with it. Where it is
 * newer than the one told last it is held back: clients would take it for the last value, which the one that was held
 * back before is.
 */
export class DeadbandFilter {
  readonly #absolute: number;
  readonly #fraction: number;
  readonly #told: LastSentReadings<LastSentReading>;

  constructor(deadband: Deadband, budget: LastSentBudget) {
    this.#absolute = deadband.absolute ?? Number.POSITIVE_INFINITY;
    this.#fraction = (deadband.percent ?? Number.POSITIVE_INFINITY) / 100;
    this.#told = new LastSentReadings(budget);
  }

  /** Those readings of the report that are to be told now, and are told by this; all of them: the same array. */
  telling(report: Report): readonly Reading[] {
    const { device, readings } = report;
    let fewer: Reading[] | undefined;
    for (const [i, reading] of readings.entries()) {
      if (this.#tells(device, reading, effectiveTime(report, reading.time))) fewer?.push(reading);
      else fewer ??= readings.slice(0, i);
    }
    return fewer ?? readings;
  }

  /** A client of the view was told this reading last, beside the others. `first`: there are no others. */
  toldBeside(device: string, reading: Reading, timeMs: number, first: boolean): void {
    const told = this.#told.of(device)?.get(reading.tag);
    if (told === undefined) {
      if (first) this.#told.set(device, reading.tag, toldOf(reading, timeMs));
    } else if (!isLike(told, reading)) {
      // One knows this and one that: whatever comes next is told.
      this.#told.delete(device, reading.tag);
    } else if (typeof reading.value === 'number') {
      told.low = Math.min(told.low, reading.value);
      told.high = Math.max(told.high, reading.value);
      told.newestMs = Math.max(told.newestMs, timeMs);
    } else if (told.value !== reading.value) this.#told.delete(device, reading.tag);
  }

  /** Nobody is there any more who could remember. */
  clear(): void {
    this.#told.clear();
  }

  #tells(device: string, reading: Reading, timeMs: number): boolean {
    const told = this.#told.of(device)?.get(reading.tag);
    if (told !== undefined) {
      if (timeMs < told.newestMs) return timeMs < told.timeMs && this.#differs(told, reading);
      told.newestMs = timeMs;
      if (!this.#differs(told, reading)) return false;
    }
    this.#told.set(device, reading.tag, toldOf(reading, timeMs));
    return true;
  }

  #differs(told: LastSentReading, reading: Reading): boolean {
    const { value } = reading;
    if (!isLike(told, reading)) return true;
    if (typeof value !== 'number') return value !== told.value;
    return this.#isBeyond(told.low, value) || this.#isBeyond(told.high, value);
  }

  #isBeyond(from: number, value: number): boolean {
    const difference = Math.abs(value - from);
    // Without `percent` and from 0 the product is NaN, and nothing is more than that.
    return difference > this.#absolute || difference > Math.abs(from) * this.#fraction;
  }
}

function toldOf({ value, unit, quality }: Reading, timeMs: number): LastSentReading {
  const number = typeof value === 'number' ? value : 0;
  return { value, low: number, high: number, unit, quality, timeMs, newestMs: timeMs };
}

/** Comparable: of the same type, unit and quality. */
function isLike(told: LastSentReading, { value, unit, quality }: Reading): boolean {
  return typeof value === typeof told.value && unit === told.unit && quality === told.quality;
}
