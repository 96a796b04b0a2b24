import type { Delivery, Reading } from '@tailrace/protocol/report';
import { effectiveTime } from '@tailrace/protocol/source-time';
import { devicesRememberedMax, tagsRememberedMax } from './delivered.ts';

/** The last reading of a tag, and the effective time until which it is known to hold. */
interface LastReading {
  reading: Reading;
  timeMs: number;
}

/**
 * The last reading of every tag of every device of a `delta` subscription. It survives connections: what comes after a reconnect without a gap
 * builds on what was known before. Within an epoch what holds as of one position is the same whichever node tells it.
 */
export class WholeReports {
  readonly #devices = new Map<string, Map<string, LastReading>>();

  /** Last values, as the server has them: remembered. */
  remember(report: Delivery): void {
    let known = this.#devices.get(report.device);
    if (known === undefined) {
      if (this.#devices.size === devicesRememberedMax) forgetFirst(this.#devices);
      known = new Map();
      this.#devices.set(report.device, known);
    }
    for (const reading of report.readings) {
      const timeMs = effectiveTime(report, reading.time);
      const before = known.get(reading.tag);
      // Of several readings of a tag, in one report or more, the newest is the last.
      if (before !== undefined && timeMs < before.timeMs) continue;
      known.delete(reading.tag);
      if (known.size === tagsRememberedMax) forgetFirst(known);
      known.set(reading.tag, { reading, timeMs });
    }
  }

  /**
   * The report with its own readings, all of them and in their order, and behind them those of the device's other tags,
   * which are as before. They keep what they were told with; one without a `time` of its own counts as read again at
   * the report's time, which is what a delta means. A late report says nothing of what is newer than it. Where nothing
   * is known of the device a delta stays marked as one.
   */
  whole(report: Delivery): Delivery {
    const known = this.#devices.get(report.device);
    if (known === undefined && report.delta) return report;
    this.remember(report);
    if (known === undefined) return report;
    const reportMs = effectiveTime(report, undefined);
    const own = new Set(report.readings.map(({ tag }) => tag));
    const others: Reading[] = [];
    for (const [tag, each] of known) {
      if (own.has(tag)) continue;
      if (report.delta) {
        if (each.reading.time === undefined) each.timeMs = Math.max(each.timeMs, reportMs);
      } else if (each.timeMs > reportMs) continue;
      others.push(each.reading);
    }
    const { delta, ...rest } = report;
    // Nothing to add: the usual case of a device that reports all its tags each time.
    return others.length === 0 && !delta ? report : { ...rest, readings: [...report.readings, ...others] };
  }

  /**
   * A report of the device is missing: until the next whole one, what is known of it may be old. Empty: of any device.
   */
  forget(device: string): void {
    if (device === '') this.#devices.clear();
    else this.#devices.delete(device);
  }

  clear(): void {
    this.#devices.clear();
  }
}

function forgetFirst(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
