import type { Report } from '@tailrace/protocol/report';

/** Readings of a gateway, as they were read. */
export interface ReadingTimes {
  /** When the machine answered, epoch ms; undefined for a reading that it did not send. */
  readAtMs(device: string, count: number): number | undefined;
  /** The outages, epoch ms. */
  readonly outages: readonly { readonly fromMs: number; readonly toMs: number }[];
}

export interface ReadingCounts {
  readonly readings: number;
  /** Of outages. */
  readonly backlog: number;
  /** Readings with another time than that of their read. */
  readonly wrongTimes: readonly string[];
  /** Readings of outages that come after a newer one of the same outage and device. */
  readonly disordered: readonly string[];
}

/** Between the machine and the gateway, on a host that may pause. */
const toleranceMs = 3_000;

/** Checks times and order of the readings of the tag `count`. A reading that is in the log again counts once. */
export function readingCountsOf(reports: readonly Report[], times: ReadingTimes): ReadingCounts {
  const seen = new Set<string>();
  const newest = new Map<string, number>();
  const wrongTimes: string[] = [];
  const disordered: string[] = [];
  let backlog = 0;
  for (const { device, time: reportTime, readings } of reports) {
    for (const { tag, value, time = reportTime } of readings) {
      const readAtMs = tag === 'count' ? times.readAtMs(device, Number(value)) : undefined;
      const key = `${device} ${value}`;
      if (readAtMs === undefined || seen.has(key)) continue;
      seen.add(key);
      if (Math.abs(time - readAtMs) > toleranceMs) wrongTimes.push(`${key}: read at ${readAtMs}, has ${time}`);
      const outage = times.outages.findIndex(({ fromMs, toMs }) => readAtMs >= fromMs && readAtMs <= toMs);
      if (outage < 0) continue;
      backlog++;
      const place = `${device} ${outage}`;
      const last = newest.get(place) ?? 0;
      if (Number(value) < last) disordered.push(`${key} after ${last}`);
      newest.set(place, Math.max(last, Number(value)));
    }
  }
  return { readings: seen.size, backlog, wrongTimes, disordered };
}
