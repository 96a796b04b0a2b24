import type { Reading } from './reading.ts';
import type { Report } from './report.ts';

/**
 * Returns the JSON of a delivery in a data frame: device, partition, seq, time, received, clock, historical, readings
 * (tag, value and, where they are not the default, unit, quality, time), id. Expects a valid report. Minus zero
 * becomes 0.
 *
 * Hot: runs once for each report that clients receive in JSON. JSON.stringify is faster than concatenation (0.85 to
 * 1.06 µs for four readings, flattened): V8 writes into one buffer, where every `+` makes a node of a rope.
 */
export function deliveryJson(report: Report, partition: number, seq: number, delta?: boolean): string {
  const { device, time, received, clock, historical, readings, id } = report;
  // JSON.stringify leaves out undefined fields.
  return JSON.stringify({
    device,
    partition,
    seq,
    time,
    received,
    clock,
    historical: historical || undefined,
    readings: withoutDefaults(readings),
    id: id || undefined,
    delta: delta || undefined,
  });
}

/** Returns the readings without default values. Those of the log have none, and are returned unchanged. */
function withoutDefaults(readings: readonly Reading[]): readonly object[] {
  for (let index = 0; index < readings.length; index++) {
    const { unit, quality } = readings[index]!;
    if (quality === 'good' || unit === '') return readings.map(readingWithoutDefaults);
  }
  return readings;
}

function readingWithoutDefaults({ tag, value, unit, quality, time }: Reading): object {
  return { tag, value, unit: unit || undefined, quality: quality === 'good' ? undefined : quality, time };
}
