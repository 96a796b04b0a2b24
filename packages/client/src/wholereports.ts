import type { Delivery, Reading } from '@tailrace/protocol/report';
import { devicesRememberedMax } from './delivered.ts';

/**
 * The last reading of every tag of every device of a `delta` subscription. It survives connections: what comes after a reconnect without a gap
 * builds on what was known before. Within an epoch what holds as of one position is the same whichever node tells it.
 */
export class WholeReports {
  readonly #devices = new Map<string, Map<string, Reading>>();

  /**
   * The report with the readings that it leaves out because they are as before. They keep what they were told with; one without a `time` of its
   * own counts as read again at the report's time, which is what a delta means. Where nothing is known of the device a delta stays marked as one.
   */
  whole(report: Delivery): Delivery {
    const known = this.#devices.get(report.device);
    if (known === undefined) {
      this.#remember(report);
      return report;
    }
    for (const reading of report.readings) known.set(reading.tag, reading);
    const { delta, ...rest } = report;
    // Nothing to add: the usual case of a device that reports all its tags each time.
    if (!delta && known.size === report.readings.length) return report;
    return { ...rest, readings: [...known.values()] };
  }

  /** A report of the device is missing: until the next whole one, what is known of it may be old. Empty: of any device. */
  forget(device: string): void {
    if (device === '') this.#devices.clear();
    else this.#devices.delete(device);
  }

  clear(): void {
    this.#devices.clear();
  }

  #remember(report: Delivery): void {
    if (this.#devices.size === devicesRememberedMax) {
      const [first] = this.#devices.keys();
      if (first !== undefined) this.#devices.delete(first);
    }
    if (!report.delta)
      this.#devices.set(report.device, new Map(report.readings.map((reading) => [reading.tag, reading])));
  }
}
