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
  /** The number of the last report that was filtered; negative where it has several readings of the tag. */
  seenIn: number;
}

/**
 * Leaves out readings whose value, unit and quality equal those that the view sent last for the device. A report in
 * which nothing changes is sent without readings: its time and position show that the device is alive. A report is sent
 * whole if one of its readings is new to the view or was not sent for `keyFrameMs`. So a client that joined without a
 * snapshot has every reading after that time, provided that the device reports it.
 *
 * A reading that is left out counts as read again at the report's time. So a reading that is older than the one sent
 * last is sent, and does not replace it. Where a report has several readings of one tag, as from a gateway that
 * collects them, all of them are sent: each has its own time. A historical report is sent whole, and is not remembered.
 */
export class DeltaFilter {
  readonly #keyFrameMs: number;
  readonly #lastSent: LastSentReadings<LastSentReading>;
  #reports = 0;

  constructor(keyFrameMs: number, budget: LastSentBudget) {
    this.#keyFrameMs = keyFrameMs;
    this.#lastSent = new LastSentReadings(budget);
  }

  /** Returns the report as it has to be sent, and notes it as sent. `nowMs`: monotonic. */
  filter(whole: Publication, nowMs: number): Publication {
    const { report } = whole;
    if (report.historical === true) return whole;
    const { device, readings } = report;
    const number = ++this.#reports;
    const isKey = this.#isKey(device, readings, number, nowMs);
    const changed: Reading[] = [];
    for (const reading of readings) {
      const { tag, value, unit, quality } = reading;
      const timeMs = effectiveTime(report, reading.time);
      const last = this.#lastSent.of(device)?.get(tag);
      const isLate = last !== undefined && timeMs < last.timeMs;
      const seenIn = last?.seenIn ?? number;
      if (!isKey && last !== undefined && !isLate && seenIn !== -number && isSame(last, reading)) {
        last.timeMs = timeMs;
        continue;
      }
      changed.push(reading);
      if (!isLate) this.#lastSent.set(device, tag, { value, unit, quality, atMs: nowMs, timeMs, seenIn });
    }
    return changed.length === readings.length ? whole : new FilteredPublication(whole, changed, true);
  }

  /** Returns whether the report has to be sent whole; notes which of its tags it has several times. */
  #isKey(device: string, readings: readonly Reading[], number: number, nowMs: number): boolean {
    const tags = this.#lastSent.of(device);
    if (tags === undefined) return true;
    let isKey = false;
    for (const { tag } of readings) {
      const last = tags.get(tag);
      if (last === undefined || nowMs - last.atMs > this.#keyFrameMs) isKey = true;
      if (last !== undefined) last.seenIn = Math.abs(last.seenIn) === number ? -number : number;
    }
    return isKey;
  }

  /** Notes a reading that was sent to one client of the view alone. If it differs, the next one is sent to all. */
  noteSentToOne(device: string, reading: Reading): void {
    const last = this.#lastSent.of(device)?.get(reading.tag);
    if (last !== undefined && !isSame(last, reading)) this.#lastSent.delete(device, reading.tag);
  }

  /** Forgets what was sent: no client of the view is left. */
  clear(): void {
    this.#lastSent.clear();
  }
}

function isSame(last: LastSentReading, { value, unit, quality }: Reading): boolean {
  return value === last.value && unit === last.unit && quality === last.quality;
}
