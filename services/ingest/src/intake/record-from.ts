import type { NewRecord } from '@tailrace/eventlog/event-log';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Reading, Report } from '@tailrace/protocol/report';
import { encodeReport } from '@tailrace/protocol/report-proto';

/** The devices of which a sender may send reports; `TokenGrant` of admission.ts. */
export interface Grant {
  allowsDevice(path: string): boolean;
  /** What the token covers, for messages. */
  readonly covers: string;
}

export interface RecordContext {
  readonly grant: Grant;
  /** Ingest's clock, epoch ms: becomes `received` of every report. */
  readonly receivedMs: number;
  /** How far ahead of `receivedMs` a time may be; beyond it the report gets `clock: 'ahead'`. */
  readonly clockAheadMs: number;
  /** Counts the devices that have reported; `DeviceNames` of admission.ts. */
  readonly devices: { admit(path: string): void };
}

/** A report as a record of the log. The key is its device. */
export interface EncodedReport extends NewRecord {
  /** Whether the clock of the device is ahead. */
  readonly clockAhead: boolean;
}

/**
 * Returns the record of a valid report, whichever protocol it came by. Throws `forbidden` if the grant does not cover
 * the device, `too_large` for an encoded report over its limit, and `limit_reached` for a new device at a limit. Hot:
 * called once for each report.
 */
export function recordFrom(report: Report, context: RecordContext): EncodedReport {
  const { grant, receivedMs, devices } = context;
  const { device } = report;
  if (!grant.allowsDevice(device))
    throw new TailraceError('forbidden', `${shown(device)} is not covered: ${grant.covers}`);
  const clocked = withClock(report, receivedMs, context.clockAheadMs);
  const value = encodeReport(clocked, receivedMs);
  devices.admit(device);
  return { key: device, value, clockAhead: clocked.clock === 'ahead' };
}

/**
 * Returns a report with the state of the sender's clock; the report itself if the clock is not ahead.
 *
 * A report without a time gets the time of ingest and `clock: 'ingest'`. A report whose time is further ahead of ingest
 * than `aheadMs` keeps it and gets `clock: 'ahead'`: its readings were measured at an unknown time, and are at best
 * `uncertain`. If only some readings have a time that is ahead, only those are.
 */
function withClock(report: Report, receivedMs: number, aheadMs: number): Report {
  const { time, readings } = report;
  const aheadFrom = receivedMs + aheadMs;
  if (time > aheadFrom) return { ...report, readings: readings.map(atLeastUncertain), clock: 'ahead' };
  for (let index = 0; index < readings.length; index++) {
    const { time: readingTime } = readings[index]!;
    if (readingTime === undefined || readingTime <= aheadFrom) continue;
    const adjusted = readings.map((each) => ((each.time ?? 0) > aheadFrom ? atLeastUncertain(each) : each));
    return { ...report, time: time === 0 ? receivedMs : time, readings: adjusted, clock: 'ahead' };
  }
  return time === 0 ? { ...report, time: receivedMs, clock: 'ingest' } : report;
}

function atLeastUncertain(reading: Reading): Reading {
  const isUncertain = reading.quality === 'uncertain' || reading.quality === 'bad';
  return isUncertain ? reading : { ...reading, quality: 'uncertain' };
}
