import { startAndStop } from './command.ts';
import { type MachineKind, reading } from './machine.ts';
import { follow, gaussian } from './random.ts';

/** A pick-and-place arm. Its axes repeat one program; it stops while the gate is open. */
export interface Robot {
  readonly isEnabled: boolean;
  /** Fraction of its program, 0 ≤ phase < 1. */
  readonly phase: number;
  readonly speed: number;
  readonly cycles: number;
  readonly axis1Deg: number;
  readonly axis2Deg: number;
  readonly gearC: number;
  readonly isStopped: boolean;
}

const cycleS = 7.5;

export const robot: MachineKind<Robot> = {
  kind: 'robot',
  everyTicks: 1,

  start: (random) => ({
    isEnabled: true,
    phase: random(),
    speed: 0,
    cycles: Math.floor(random() * 900_000),
    axis1Deg: 0,
    axis2Deg: 0,
    gearC: 30,
    isStopped: false,
  }),

  step(state, dtS, surroundings) {
    const isStopped = surroundings.isGateOpen || !surroundings.isPowered;
    // A protective stop takes a fraction of a second, a start takes longer.
    const speed = follow(
      state.speed,
      isStopped || !state.isEnabled ? 0 : surroundings.load,
      isStopped ? 0.15 : 1.5,
      dtS,
    );
    const turned = state.phase + (speed * dtS) / cycleS;
    const phase = turned % 1;
    return {
      ...state,
      phase,
      speed,
      cycles: state.cycles + Math.floor(turned),
      axis1Deg: 85 * Math.sin(2 * Math.PI * phase),
      axis2Deg: -20 + 45 * Math.sin(4 * Math.PI * phase + 0.6),
      gearC: follow(state.gearC, surroundings.ambientC + 21 * speed, 300, dtS),
      isStopped,
    };
  },

  commands: { actions: startAndStop },

  powerKw: (state) => 0.6 + 3.4 * state.speed,

  readings: (state, random) => [
    reading('axis1', state.axis1Deg + 0.01 * gaussian(random), 'deg', 2),
    reading('axis2', state.axis2Deg + 0.01 * gaussian(random), 'deg', 2),
    reading('gear_temperature', state.gearC + 0.08 * gaussian(random), 'Cel', 1),
    reading('cycles', state.cycles, '1', 0),
    { tag: 'protective_stop', value: state.isStopped },
    { tag: 'enabled', value: state.isEnabled },
  ],
};
