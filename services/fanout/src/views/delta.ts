import type { Quality, Reading } from '@tailrace/protocol/report';
import { PartlyShown, type Shown } from './shown.ts';
import { Told, type ToldBudget } from './told.ts';

interface ToldReading {
  readonly value: Reading['value'];
  readonly unit: string | undefined;
  readonly quality: Quality | undefined;
  /** Of the clock's `monotonic`. */
  readonly atMs: number;
}

/**
 * Leaves out readings whose value, unit and quality are those that the view told last of the device. A report in which nothing changes is told all the
 * same, with no readings: its time and position say that the device lives. It is told whole where one of its readings is new to the view or has not
 * been told for `keyFrameMs`; so who came without a snapshot knows every reading after that time, as often as the device sends it.
 */
export class DeltaFilter {
  readonly #keyFrameMs: number;
  readonly #told: Told<ToldReading>;

  constructor(keyFrameMs: number, budget: ToldBudget) {
    this.#keyFrameMs = keyFrameMs;
    this.#told = new Told(budget);
  }

  /** The report as it is to be told now, and is told by this. */
  telling(whole: Shown, nowMs: number): Shown {
    const { device, readings } = whole.report;
    const isKey = readings.some(({ tag }) => {
      const told = this.#told.of(device)?.get(tag);
      return told === undefined || nowMs - told.atMs > this.#keyFrameMs;
    });
    const changed: Reading[] = [];
    for (const reading of readings) {
      const { tag, value, unit, quality } = reading;
      const told = this.#told.of(device)?.get(tag);
      if (!isKey && told !== undefined && isSame(told, reading)) continue;
      changed.push(reading);
      this.#told.set(device, tag, { value, unit, quality, atMs: nowMs });
    }
    return changed.length === readings.length ? whole : new PartlyShown(whole, changed, true);
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

function isSame(told: ToldReading, { value, unit, quality }: Reading): boolean {
  return value === told.value && unit === told.unit && quality === told.quality;
}
