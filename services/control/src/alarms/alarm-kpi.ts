import { floodLimits } from '@tailrace/rules/flood-limits';

/**
 * Numbers of ISA-18.2 and EEMUA 191 on how many alarms people get, and which of them are of no use.
 *
 * A flood starts with a period of 10 minutes with more than 10 alarms, and stops with one that has fewer than 5.
 * Periods are those of the clock, as in both documents; services/alarms, which reports a flood at once, has the last
 * 10 minutes instead.
 */
export const kpiLimits = {
  periodMs: floodLimits.windowMs,
  floodAbove: floodLimits.startAbove,
  floodStopsBelow: floodLimits.stopBelow,
  standingMs: 86_400_000,
  chatterRaises: 3,
  chatterMs: 60_000,
  /** An alarm that returns within this time is fleeting: no person can have acted on it. */
  fleetingMs: 5_000,
} as const;

const dayMs = 86_400_000;

/** How many alarms were raised in a period. */
export interface AlarmPeriod {
  /** Epoch ms, a multiple of 10 minutes. */
  readonly start: number;
  readonly raised: number;
}

export interface AlarmRates {
  readonly raised: number;
  readonly perDay: number;
  readonly perTenMinutes: number;
  readonly peak: AlarmPeriod | undefined;
  readonly floods: number;
  /** Of the time, 0 to 1. */
  readonly floodShare: number;
}

/** Returns the whole periods in which a time range is. */
export function wholePeriods(from: number, to: number): { readonly from: number; readonly to: number } {
  const { periodMs } = kpiLimits;
  return { from: Math.floor(from / periodMs) * periodMs, to: Math.ceil(to / periodMs) * periodMs };
}

/** Returns the rates over whole periods. `periods`: those with alarms, ascending; the others have none. */
export function alarmRates(periods: readonly AlarmPeriod[], from: number, to: number): AlarmRates {
  const { periodMs, floodAbove, floodStopsBelow } = kpiLimits;
  const count = (to - from) / periodMs;
  let raised = 0;
  let floods = 0;
  let floodPeriods = 0;
  let peak: AlarmPeriod | undefined;
  /** End of the last period, if it is of a flood. */
  let floodUntil: number | undefined;
  for (const period of periods) {
    raised += period.raised;
    if (peak === undefined || period.raised > peak.raised) peak = period;
    // A period without alarms is between them.
    const isFlood = floodUntil === period.start && period.raised >= floodStopsBelow;
    if (!isFlood && period.raised > floodAbove) floods++;
    floodUntil = isFlood || period.raised > floodAbove ? period.start + periodMs : undefined;
    if (floodUntil !== undefined) floodPeriods++;
  }
  return {
    ...{ raised, perDay: (raised * dayMs) / (to - from), perTenMinutes: raised / count, peak },
    ...{ floods, floodShare: floodPeriods / count },
  };
}
