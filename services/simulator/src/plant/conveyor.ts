import { startAndStop } from './command.ts';
import { clamp, type MachineKind, reading } from './machine.ts';
import { follow, gaussian, happens, wander } from './random.ts';

/** A belt that carries parts past a light barrier, and jams occasionally. */
export interface Conveyor {
  readonly isEnabled: boolean;
  /** Speed at full load. */
  readonly speedSetpointMS: number;
  readonly speedMS: number;
  readonly motorA: number;
  readonly parts: number;
  /** Fraction of the next part, 0 ≤ fraction < 1. */
  readonly fraction: number;
  /** Seconds until a jam is cleared; 0: no jam. */
  readonly jamS: number;
}

const speedFullMS = 0.6;
const partsPerMetre = 0.9;
const jamEveryS = 900;

export const conveyor: MachineKind<Conveyor> = {
  kind: 'conveyor',
  everyTicks: 1,

  start: (random) => ({
    isEnabled: true,
    speedSetpointMS: speedFullMS,
    speedMS: 0,
    motorA: 0,
    parts: Math.floor(random() * 500_000),
    fraction: 0,
    jamS: 0,
  }),

  step(state, dtS, surroundings, random) {
    const jamS = Math.max(0, state.jamS - dtS);
    const isJammed = jamS > 0;
    const isAllowed = surroundings.isPowered && state.isEnabled && !surroundings.isGateOpen;
    const isDriven = isAllowed && surroundings.load > 0.05;
    const wanted = isDriven && !isJammed ? state.speedSetpointMS * (0.5 + 0.5 * surroundings.load) : 0;
    const speedMS = Math.max(0, follow(state.speedMS, wanted, 1.2, dtS));
    const carried = state.fraction + speedMS * dtS * partsPerMetre;
    // A blocked motor draws its stall current until the belt is free.
    const currentWanted = !isDriven ? 0 : isJammed ? 11 : 2.2 + 4 * (speedMS / speedFullMS) * surroundings.load;
    return {
      ...state,
      speedMS,
      motorA: clamp(wander(state.motorA, currentWanted, isDriven ? 0.15 : 0, 0.8, dtS, random), 0, 14),
      parts: state.parts + Math.floor(carried),
      fraction: carried % 1,
      jamS: !isJammed && isDriven && happens(random, dtS, jamEveryS) ? 8 + 12 * random() : jamS,
    };
  },

  commands: {
    actions: startAndStop,
    setpoints: {
      speed_setpoint: { low: 0, high: 1.2, apply: (state, value) => ({ ...state, speedSetpointMS: value }) },
    },
  },

  powerKw: (state) => (state.motorA * 400 * Math.sqrt(3) * 0.8) / 1000,

  readings: (state, random) => [
    reading('speed', Math.max(0, state.speedMS + 0.002 * gaussian(random)), 'm/s', 3),
    reading('motor_current', Math.max(0, state.motorA + 0.02 * gaussian(random)), 'A', 2),
    reading('parts', state.parts, '1', 0),
    { tag: 'jammed', value: state.jamS > 0 },
    { tag: 'enabled', value: state.isEnabled },
    reading('speed_setpoint', state.speedSetpointMS, 'm/s', 2),
  ],
};
