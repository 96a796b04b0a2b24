import type { Reading } from '@tailrace/protocol/report';
import type { CommandSet } from './command.ts';
import type { Random } from './random.ts';

/** Conditions that are the same for all machines of a line. */
export interface Surroundings {
  /** 0: the line is stopped (break, no shift); 1: full load. */
  readonly load: number;
  /** Air of the hall, °C. */
  readonly ambientC: number;
  /** A person is in the robot cell: robots and belt must stop. */
  readonly isGateOpen: boolean;
  /** A robot of the line moves: the gate stays locked. */
  readonly isRobotMoving: boolean;
  /** Electric power that the other machines of the line draw, kW. For the energy meter. */
  readonly linePowerKw: number;
  /** Whether the line has power. False in tests only. */
  readonly isPowered: boolean;
}

/**
 * A kind of machine, as pure functions. `step` returns the state `dtS` seconds later and does not change its argument.
 * It depends on the state, the surroundings and the random numbers alone. `dtS` is above 0 and at most
 * `stepSecondsMax`.
 */
export interface MachineKind<State> {
  /** First part of the machine's name, as in `press1`, `press2` … */
  readonly kind: string;
  /** Ticks of the plant between two reports: 1 for fast machines, 2 for slow ones. */
  readonly everyTicks: 1 | 2;
  start(random: Random): State;
  step(state: State, dtS: number, surroundings: Surroundings, random: Random): State;
  readonly commands: CommandSet<State>;
  /** Returns the electric power drawn, kW. */
  powerKw(state: State): number;
  /** Returns the readings of intact sensors, noise included; 3 to 8. */
  readings(state: State, random: Random): Reading[];
}

/** Longest step, s. After a longer pause, such as a laptop's sleep, the plant does not catch up. */
export const stepSecondsMax = 5;

/** Returns a reading, rounded to the resolution of such a sensor. */
export function reading(tag: string, value: number, unit: string, decimals: number): Reading {
  const scale = 10 ** decimals;
  return { tag, value: Math.round(value * scale) / scale, unit };
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
