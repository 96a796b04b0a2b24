import type { Reading } from './reading.ts';
import type { Report } from './report.ts';

/**
 * The JSON of a delivery, as it stands in a data frame: device, partition, seq, time, received, clock, readings (tag,
 * value, and where they say something unit, quality, time), id. The report is a checked one. Minus zero becomes 0.
 *
 * Hot: made once for each report that somebody watches in JSON. Through JSON.stringify because it beats text put together by hand
 * (0.85 to 1.06 µs for four readings, until it lies flat in memory): V8 writes into one buffer, where every `+` makes a piece of a rope.
 */
export function deliveryJson(report: Report, partition: number, seq: number, delta?: boolean): string {
  const { device, time, received, clock, readings, id } = report;
  // What is undefined is left out.
  return JSON.stringify({
    device,
    partition,
    seq,
    time,
    received,
    clock,
    readings: telling(readings),
    id: id || undefined,
    delta: delta || undefined,
  });
}

/** Readings as they come out of the log say nothing needless, and pass as they are. */
function telling(readings: readonly Reading[]): readonly object[] {
  for (let index = 0; index < readings.length; index++) {
    const { unit, quality } = readings[index]!;
    if (quality === 'good' || unit === '') return readings.map(withoutNeedless);
  }
  return readings;
}

function withoutNeedless({ tag, value, unit, quality, time }: Reading): object {
  return { tag, value, unit: unit || undefined, quality: quality === 'good' ? undefined : quality, time };
}
