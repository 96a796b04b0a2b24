import { tailrace } from '@tailrace/protocol/generated';
import { partitionOf } from '@tailrace/protocol/partition';
import { isDevicePath } from '@tailrace/protocol/path';
import { checkReport } from '@tailrace/protocol/report-check';
import { reportLimits } from '@tailrace/protocol/report-limits';

const { DeviceState } = tailrace.v1;

/** The epoch and partition to which a record of the state topic must belong. */
export interface StateOf {
  readonly epoch: string;
  readonly partition: number;
  readonly partitions: number;
}

/**
 * Why a record of the state topic is not a state of its device. `another epoch`: it is of another log, as every record
 * is after the topics were re-created.
 */
export type InvalidStateReason = 'another epoch' | 'key' | 'malformed' | 'positions' | 'times' | 'reports';

/**
 * Returns the state in a record of the state topic, or why it is invalid. The key is the device. Any program may write
 * to the topic: a position that no report has would hide the device's later reports, and a report of another device
 * would be sent to clients that watch this one.
 */
export function deviceStateFrom(
  key: string,
  value: Uint8Array,
  of: StateOf,
): tailrace.v1.DeviceState | InvalidStateReason {
  const state = decoded(value);
  if (state === undefined) return 'malformed';
  if (state.epoch !== of.epoch) return 'another epoch';
  if (!isDevicePath(key) || partitionOf(key, of.partitions) !== of.partition) return 'key';
  const { previous, next, reports, intervalMs, lastMs } = state;
  if (previous > next) return 'positions';
  if (!isTime(lastMs) || !isTime(intervalMs)) return 'times';
  let last = -1;
  for (const { seq, report } of reports) {
    const at = seq ?? 0;
    if (at <= last) return 'positions';
    if (typeof checkReport(report ?? nothing, key) === 'string') return 'reports';
    last = at;
  }
  return state;
}

const nothing = new Uint8Array(0);

/** Returns false for NaN as well. */
function isTime(ms: number): boolean {
  return ms >= 0 && ms <= reportLimits.timeMsMax;
}

/** Returns undefined for invalid bytes. */
function decoded(value: Uint8Array): tailrace.v1.DeviceState | undefined {
  try {
    return value.length === 0 ? undefined : DeviceState.decode(value);
  } catch {
    return undefined;
  }
}

/**
 * Returns the smallest end of the log with which a state is valid. The state may have reports that came while its batch
 * was written.
 */
export function endOfState({ next, reports, lastSeq }: tailrace.v1.DeviceState): number {
  return Math.max(next, (reports.at(-1)?.seq ?? -1) + 1, lastSeq === 0 ? 0 : lastSeq + 1);
}
