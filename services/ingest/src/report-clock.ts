import type { Reading, Report } from '@tailrace/protocol/report';

/**
 * Returns a sender's report with what ingest knows of its clock; the report itself if there is nothing to add.
 *
 * A report without a time gets ingest's, marked `ingest`. One with a time further ahead of ingest's clock than
 * `aheadMs` keeps it, marked `ahead`: a device whose clock is wrong still measures, but not at a known time, so that
 * its readings are at least `uncertain`. Where only the times of some readings are ahead, only those are.
 */
export function withClock(report: Report, receivedMs: number, aheadMs: number): Report {
  const { time, readings } = report;
  const aheadFrom = receivedMs + aheadMs;
  if (time > aheadFrom) return { ...report, readings: readings.map(atLeastUncertain), clock: 'ahead' };
  for (let index = 0; index < readings.length; index++) {
    const { time: own } = readings[index]!;
    if (own === undefined || own <= aheadFrom) continue;
    const doubted = readings.map((each) => ((each.time ?? 0) > aheadFrom ? atLeastUncertain(each) : each));
    return { ...report, time: time === 0 ? receivedMs : time, readings: doubted, clock: 'ahead' };
  }
  return time === 0 ? { ...report, time: receivedMs, clock: 'ingest' } : report;
}

function atLeastUncertain(reading: Reading): Reading {
  const isDoubted = reading.quality === 'uncertain' || reading.quality === 'bad';
  return isDoubted ? reading : { ...reading, quality: 'uncertain' };
}
