import { floodLimits } from '@tailrace/rules/flood-limits';

/** A time at which the rule of a dry run would have raised its alarm at a device. */
export interface Activation {
  readonly device: string;
  /** Of `AlarmTransition`. */
  readonly alarm: string;
  /** When it was raised, epoch ms by the clock of the device. */
  readonly raisedMs: number;
  /** When people would have seen it first; undefined: it was suppressed all the time. */
  seenMs: number | undefined;
  /** When it has returned; undefined: not yet. */
  returnedMs: number | undefined;
}

/** What hides the alarms of a rule at a device now. */
export type InForce = 'shelved' | 'out_of_service';

export interface DeviceSummary {
  readonly device: string;
  readonly raised: number;
  readonly visible: number;
  /** Epoch ms by the clock of the device. */
  readonly first: number;
  readonly last: number;
  /** Of the longest alarm, ms. */
  readonly longestMs: number;
  /** Whether its last alarm had not returned. */
  readonly standing: boolean;
  readonly inForce?: InForce;
}

export interface ActivationSummary {
  /** How often the alarm would have been raised: those that are hidden, too. */
  readonly raised: number;
  /** Those that people would have seen. */
  readonly visible: number;
  readonly hidden: { readonly shelved: number; readonly suppressed: number; readonly outOfService: number };
  readonly first?: number;
  readonly last?: number;
  /** Those that had not returned. */
  readonly standing: number;
  /** Of all of them, ms; those that had not returned count up to the end of the evaluation. */
  readonly durations?: { readonly medianMs: number; readonly longestMs: number };
  /** Devices at which it would have been raised. */
  readonly devicesRaised: number;
  /** Those with the most alarms, at most `devicesNamedMax`. */
  readonly devices: readonly DeviceSummary[];
  /** Of those that people would have seen, as if one person got all of them. */
  readonly flood: {
    readonly floods: number;
    /** Start of the first one, epoch ms. */
    readonly first?: number;
    /** Most alarms in 10 minutes. */
    readonly peak: number;
  };
}

export const devicesNamedMax = 100;

/**
 * Returns what an operator wants to know of the activations of a rule. `untilMs`: the end of the evaluation. `inForce`:
 * by device, for those of the activations.
 */
export function summaryOf(
  activations: readonly Activation[],
  inForce: ReadonlyMap<string, InForce>,
  untilMs: number,
): ActivationSummary {
  const hidden = { shelved: 0, suppressed: 0, outOfService: 0 };
  const seen: number[] = [];
  const durations: number[] = [];
  const byDevice = new Map<string, Activation[]>();
  for (const activation of activations) {
    const { device, seenMs } = activation;
    const ofDevice = byDevice.get(device) ?? [];
    if (ofDevice.push(activation) === 1) byDevice.set(device, ofDevice);
    durations.push(durationOf(activation, untilMs));
    // In the order of the life cycle: an alarm out of service is not shelved.
    const hiding = inForce.get(device);
    if (hiding === 'out_of_service') hidden.outOfService++;
    else if (hiding === 'shelved') hidden.shelved++;
    else if (seenMs === undefined) hidden.suppressed++;
    else seen.push(seenMs);
  }
  const devices = [...byDevice].map(([device, all]) => deviceSummary(device, all, inForce.get(device), untilMs));
  devices.sort((a, b) => b.raised - a.raised || (a.device < b.device ? -1 : 1));
  durations.sort((a, b) => a - b);
  const longestMs = durations.at(-1);
  return {
    ...{ raised: activations.length, visible: seen.length, hidden },
    ...(longestMs !== undefined && {
      first: Math.min(...devices.map(({ first }) => first)),
      last: Math.max(...devices.map(({ last }) => last)),
      durations: { medianMs: medianOf(durations), longestMs },
    }),
    standing: activations.filter(({ returnedMs }) => returnedMs === undefined).length,
    ...{ devicesRaised: devices.length, devices: devices.slice(0, devicesNamedMax), flood: floodOf(seen) },
  };
}

function durationOf({ raisedMs, returnedMs }: Activation, untilMs: number): number {
  return Math.max(0, (returnedMs ?? untilMs) - raisedMs);
}

function deviceSummary(
  device: string,
  activations: readonly Activation[],
  inForce: InForce | undefined,
  untilMs: number,
): DeviceSummary {
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  let longestMs = 0;
  let visible = 0;
  for (const activation of activations) {
    first = Math.min(first, activation.raisedMs);
    last = Math.max(last, activation.raisedMs);
    longestMs = Math.max(longestMs, durationOf(activation, untilMs));
    if (inForce === undefined && activation.seenMs !== undefined) visible++;
  }
  const standing = activations.at(-1)!.returnedMs === undefined;
  return {
    ...{ device, raised: activations.length, visible, first, last, longestMs, standing },
    ...(inForce !== undefined && { inForce }),
  };
}

/** Expects ascending values, at least one. */
function medianOf(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Counts the floods of ISA-18.2: above 10 alarms in 10 minutes, until there are fewer than 5. */
function floodOf(seen: readonly number[]): ActivationSummary['flood'] {
  const { windowMs, startAbove, stopBelow } = floodLimits;
  const times = [...seen].sort((a, b) => a - b);
  let isFlood = false;
  let floods = 0;
  let first: number | undefined;
  let peak = 0;
  let oldest = 0;
  times.forEach((time, index) => {
    while (times[oldest]! <= time - windowMs) oldest++;
    const before = index - oldest;
    peak = Math.max(peak, before + 1);
    if (before < stopBelow) isFlood = false;
    if (isFlood || before + 1 <= startAbove) return;
    isFlood = true;
    floods++;
    first ??= time;
  });
  return { floods, ...(first !== undefined && { first }), peak };
}
