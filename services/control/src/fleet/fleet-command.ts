import { type CommandProgress, commandProgress } from '../commands/command.ts';

/*
 * A fleet command: one command for many devices, at a rate, until too many fail. Pure: the store loads it with the
 * counts of its devices, `stepOf` decides, the store writes the decision in one transaction.
 *
 *   confirming ──▶ running ◀──▶ paused
 *       │             │            │
 *       ▼             ├────────────┴──▶ stopped | canceled ──▶ the same, final
 *    canceled         └──▶ done
 *
 * - `confirming`: a second person must confirm it, once for all of its devices.
 * - `running`: devices get their commands one after the other, at the rate.
 * - `paused`: no further device gets one. What was sent goes on.
 * - `stopped`: too many devices have failed. `canceled`: by a person. The devices that wait are skipped, and commands
 *   that were not sent are canceled. It is final when the last command is.
 * - `done`: each device has its final state. Some may have failed.
 *
 * A device is `pending`, then in the state of its command, or `skipped`.
 */

export const fleetStates = ['confirming', 'running', 'paused', 'stopped', 'canceled', 'done'] as const;
export type FleetState = (typeof fleetStates)[number];

export const fleetDeviceStates = ['pending', 'skipped', ...commandProgress] as const;
export type FleetDeviceState = 'pending' | 'skipped' | CommandProgress;

/** Devices a minute that get their command, as it grows with those that are done. */
export interface FleetRate {
  readonly perMinute: number;
  /** The rate is multiplied by it after each `growAfter` devices that are done. 1: it does not grow. */
  readonly factor: number;
  readonly growAfter: number;
  readonly perMinuteMax: number;
}

/** When a fleet command stops by itself. */
export interface FleetStop {
  /** Share of the finished devices that have failed, have expired or are unconfirmed, above 0 to 1. */
  readonly failedShare: number;
  /** It does not stop before this number of devices has finished. */
  readonly devicesMin: number;
}

export const fleetLimits = {
  /** Fleet commands that are not final. */
  openMax: 20,
  perMinuteMax: 6_000,
  deviceTimeoutMsMax: 86_400_000,
  /** A second person has this time to confirm one. */
  confirmMs: 86_400_000,
} as const;

/** Devices of a fleet command by their states. */
export interface FleetCounts {
  readonly byState: Readonly<Partial<Record<FleetDeviceState, number>>>;
  /** With a command that is not final. */
  readonly open: number;
  /** With a command that is final, or was refused. */
  readonly finished: number;
  /** Of these: failed, expired, unconfirmed. */
  readonly failed: number;
}

export interface FleetSituation {
  readonly state: FleetState;
  readonly isFinal: boolean;
  readonly rate: FleetRate;
  readonly stop: FleetStop;
  /** When the next device may get its command, epoch ms. */
  readonly nextMs: number;
  readonly createdMs: number;
}

/** What a step does. */
export interface FleetStep {
  /** Undefined: the state stays. */
  readonly transition?: { readonly state: FleetState; readonly isFinal: boolean; readonly message: string };
  /** Devices that get their command now. */
  readonly starts: number;
  readonly nextMs: number;
  /** When the next step is due. */
  readonly dueMs: number;
}

/** Interval of the steps while commands are open, ms. */
const checkMs = 500;
/** Devices of at most this time are caught up after a process has stopped, ms. */
const burstMs = 1_000;
/** Devices that one step starts: a process submits their commands within its claim. */
const startsMax = 100;
/** Nothing is due until a person acts. */
const neverMs = 8.64e15;

/** Returns the present rate, devices a minute. */
export function rateOf({ perMinute, factor, growAfter, perMinuteMax }: FleetRate, done: number): number {
  return Math.min(Math.max(perMinute, perMinuteMax), perMinute * factor ** Math.floor(done / growAfter));
}

/** Returns the step that is due at `nowMs`, epoch ms. `counts`: of the same transaction as `fleet`. */
export function stepOf(fleet: FleetSituation, counts: FleetCounts, nowMs: number): FleetStep {
  const { state, nextMs } = fleet;
  const stays = { starts: 0, nextMs };
  const moves = (to: FleetState, isFinal: boolean, message: string): FleetStep => ({
    ...{ transition: { state: to, isFinal, message }, starts: 0, nextMs, dueMs: isFinal ? neverMs : nowMs },
  });
  if (fleet.isFinal) return { ...stays, dueMs: neverMs };
  const { pending = 0, done = 0 } = counts.byState;
  switch (state) {
    case 'confirming': {
      const untilMs = fleet.createdMs + fleetLimits.confirmMs;
      if (nowMs < untilMs) return { ...stays, dueMs: untilMs };
      return moves('canceled', counts.open === 0, 'no second person has confirmed it within a day');
    }
    case 'stopped':
    case 'canceled':
      return counts.open === 0 ? moves(state, true, '') : { ...stays, dueMs: nowMs + checkMs };
    case 'done':
      return moves('done', true, '');
    case 'running':
    case 'paused': {
      const reason = stopReason(fleet.stop, counts);
      if (reason !== undefined) return moves('stopped', counts.open === 0, reason);
      if (state === 'paused') return { ...stays, dueMs: counts.open > 0 ? nowMs + checkMs : neverMs };
      if (pending === 0 && counts.open === 0) return moves('done', true, '');
      return running(fleet, pending, done, nowMs);
    }
  }
}

function running({ nextMs, rate }: FleetSituation, pending: number, done: number, nowMs: number): FleetStep {
  const intervalMs = 60_000 / rateOf(rate, done);
  const fromMs = Math.max(nextMs, nowMs - burstMs);
  const allowed = fromMs > nowMs ? 0 : Math.floor((nowMs - fromMs) / intervalMs) + 1;
  const starts = Math.min(pending, allowed, startsMax);
  const laterMs = starts === 0 ? nextMs : fromMs + starts * intervalMs;
  const left = pending - starts;
  return { starts, nextMs: laterMs, dueMs: Math.min(nowMs + checkMs, left > 0 ? laterMs : Number.POSITIVE_INFINITY) };
}

function stopReason({ failedShare, devicesMin }: FleetStop, counts: FleetCounts): string | undefined {
  const { finished, failed } = counts;
  if (failed === 0 || finished < devicesMin || failed / finished < failedShare) return undefined;
  return `${failed} of ${finished} devices have failed, expected less than the share ${failedShare}`;
}

/** Returns the smallest path or pattern that covers all devices, at least one. */
export function scopeOf(devices: readonly string[]): string {
  const [first] = devices;
  let common = first!.split('.');
  let isSame = true;
  for (const device of devices) {
    const segments = device.split('.');
    isSame &&= device === first;
    const at = common.findIndex((segment, index) => segments[index] !== segment);
    if (at >= 0) common = common.slice(0, at);
  }
  if (isSame) return first!;
  // A path that is above another one is no device of its own pattern: one segment less covers both.
  if (devices.includes(common.join('.'))) common = common.slice(0, -1);
  return common.length === 0 ? '>' : `${common.join('.')}.>`;
}
