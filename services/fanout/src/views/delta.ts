import type { Quality, Reading } from '@tailrace/protocol/report';
import { effectiveTime } from '@tailrace/protocol/source-time';
import { type LastSentBudget, LastSentReadings } from './last-sent-readings.ts';
import { FilteredPublication, type Publication } from './publication.ts';

interface LastSentReading {
  readonly value: Reading['value'];
  readonly unit: string | undefined;
  readonly quality: Quality | undefined;
  /** Of the clock's `monotonic`. */
  readonly atMs: number;
  /** Effective time of the newest reading that it stands for, epoch ms. */
  timeMs: number;
  /** The report that was looked at last: its number, or less than 0 where it has several readings of the tag. */
  seenIn: number;
}

/**
 * Leaves out readings whose value, unit and quality are those that the view told last of the device. A report in which nothing changes is told all the
 * same, with no readings: its time and position say that the device lives. It is told whole where one of its readings is new to the view or has not
 * been told for `keyFrameMs`; so who came without a snapshot knows every reading after that time, as often as the device sends it.
 *
 * What is left out counts as read again at the report's time. So a reading that is older than what was told last is
 * told, and changes nothing about it; and where a report has several readings of one tag, as a gateway sends them that
 * collects, all of them are told: each has a time of its own.
 */
export class DeltaFilter {
  readonly #keyFrameMs: number;
  readonly #told: LastSentReadings<LastSentReading>;
  #reports = 0;

  constructor(keyFrameMs: number, budget: LastSentBudget) {
    this.#keyFrameMs = keyFrameMs;
    this.#told = new LastSentReadings(budget);
  }

  /** The report as it is to be told now, and is told by this. */
  telling(whole: Publication, nowMs: number): Publication {
    const { report } = whole;
    const { device, readings } = report;
    const number = ++this.#reports;
    const isKey = this.#isKey(device, readings, number, nowMs);
    const changed: Reading[] = [];
    for (const reading of readings) {
      const { tag, value, unit, quality } = reading;
      const timeMs = effectiveTime(report, reading.time);
      const told = this.#told.of(device)?.get(tag);
      const isLate = told !== undefined && timeMs < told.timeMs;
      const seenIn = told?.seenIn ?? number;
      if (!isKey && told !== undefined && !isLate && seenIn !== -number && isSame(told, reading)) {
        told.timeMs = timeMs;
        continue;
      }
      changed.push(reading);
      if (!isLate) this.#told.set(device, tag, { value, unit, quality, atMs: nowMs, timeMs, seenIn });
    }
    return changed.length === readings.length ? whole : new FilteredPublication(whole, changed, true);
  }

  /** Whether the report has to be told whole; notes which of its tags come several times. */
  #isKey(device: string, readings: readonly Reading[], number: number, nowMs: number): boolean {
    const tags = this.#told.of(device);
    if (tags === undefined) return true;
    let isKey = false;
    for (const { tag } of readings) {
      const told = tags.get(tag);
      if (told === undefined || nowMs - told.atMs > this.#keyFrameMs) isKey = true;
      if (told !== undefined) told.seenIn = Math.abs(told.seenIn) === number ? -number : number;
    }
    return isKey;
  }

  /** A client of the view was told this reading last, beside the others: where it differs, whatever comes next is told to all. */
  toldBeside(device: string, reading: Reading): void {
    const told = this.#told.of(device)?.get(reading.tag);
    if (told !== undefined && !isSame(told, reading)) this.#told.delete(device, reading.tag);
  }

  /** Nobody is there any more who could remember. */
  clear(): void {
    this.#told.clear();
  }
}

function isSame(told: LastSentReading, { value, unit, quality }: Reading): boolean {
  return value === told.value && unit === told.unit && quality === told.quality;
}
