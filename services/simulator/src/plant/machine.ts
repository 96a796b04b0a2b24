import type { Reading } from '@tailrace/protocol/report';
import type { Random } from './random.ts';

/** What surrounds a machine: the same for all machines of a line. */
export interface Surroundings {
  /** 0: the line stands (break, no shift); 1: full load. */
  readonly load: number;
  /** Air of the hall, °C. */
  readonly ambientC: number;
  /** Somebody is in the robot cell: what moves there must stand. */
  readonly gateOpen: boolean;
  /** Electric power that the other machines of the line draw, kW. Only the energy meter looks at it. */
  readonly linePowerKw: number;
  /** True while the power of the line is given (always in practice; a test may cut it). */
  readonly powered: boolean;
}

/**
 * A kind of machine: pure. `step` gives the state `dtS` seconds later and never changes the one it gets; the same state,
 * surroundings and random numbers give the same answer. `dtS` is above 0 and at most `stepSecondsMax`.
 */
export interface MachineKind<State> {
  /** First part of the machine's name: `press` gives `press1`, `press2` … */
  readonly kind: string;
  /** Reports once every so many ticks of the plant: 1 for what moves fast, 2 for what does not. */
  readonly everyTicks: 1 | 2;
  start(random: Random): State;
  step(state: State, dtS: number, around: Surroundings, random: Random): State;
  /** Electric power drawn now, kW. */
  powerKw(state: State): number;
  /** True values as the machine's sensors would tell them, noise included; 3 to 8 readings. */
  readings(state: State, random: Random): Reading[];
}

/** Longer pauses (a laptop that slept) are stepped as this much: nobody wants a plant to catch up a night in one tick. */
export const stepSecondsMax = 5;

/** A number reading, rounded to what such a sensor resolves. */
export function reading(tag: string, value: number, unit: string, decimals: number): Reading {
  const scale = 10 ** decimals;
  return { tag, value: Math.round(value * scale) / scale, unit };
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
