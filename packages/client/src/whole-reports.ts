import type { Delivery, Reading } from '@tailrace/protocol/report';
import { effectiveTime } from '@tailrace/protocol/source-time';
import { devicesRememberedMax, tagsRememberedMax } from './delivered.ts';

/** The last reading of a tag, and the effective time up to which it is current. */
interface LastReading {
  reading: Reading;
  timeMs: number;
}

/**
 * The last reading of every tag of every device of a `delta` subscription. It outlives connections: deltas after a
 * reconnect without a gap build on it. Within an epoch the state as of a position is the same on every node.
 */
export class WholeReports {
  readonly #devices = new Map<string, Map<string, LastReading>>();

  /** Stores the readings of last values. */
  remember(report: Delivery): void {
    let known = this.#devices.get(report.device);
    if (known === undefined) {
      if (this.#devices.size === devicesRememberedMax) evictFirst(this.#devices);
      known = new Map();
      this.#devices.set(report.device, known);
    }
    for (const reading of report.readings) {
      const timeMs = effectiveTime(report, reading.time);
      const before = known.get(reading.tag);
      // Of several readings of a tag, in one report or more, the newest is the last value.
      if (before !== undefined && timeMs < before.timeMs) continue;
      known.delete(reading.tag);
      if (known.size === tagsRememberedMax) evictFirst(known);
      known.set(reading.tag, { reading, timeMs });
    }
  }

  /**
   * Returns the report with all its readings in order, followed by the unchanged readings of the device's other tags.
   * After a delta, an unchanged reading without its own `time` is current up to the report's time. A late report gets
   * no readings that are newer than it. Where nothing is known of the device, a delta is returned unchanged.
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
    // The usual case of a device that reports all its tags each time.
    return others.length === 0 && !delta ? report : { ...rest, readings: [...report.readings, ...others] };
  }

  /**
   * Removes the readings of a device after a lost report, since they may be out of date. Empty: of all devices.
   */
  forget(device: string): void {
    if (device === '') this.#devices.clear();
    else this.#devices.delete(device);
  }

  clear(): void {
    this.#devices.clear();
  }
}

function evictFirst(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
