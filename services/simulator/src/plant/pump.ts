import { startAndStop } from './command.ts';
import { clamp, type MachineKind, reading } from './machine.ts';
import { follow, gaussian, wander } from './random.ts';

/** A pump that holds the pressure of the cooling water by its speed. The line draws water. */
export interface Pump {
  readonly isEnabled: boolean;
  readonly setpointBar: number;
  /** 0: standstill; 1: full speed. */
  readonly speed: number;
  readonly flowM3H: number;
  readonly pressureBar: number;
  readonly bearingC: number;
}

const speedFullPerMinute = 2_900;
/** Pressure at full speed without flow, and what a flow of 1 m³/h takes from it. */
const headBar = 11;
const lossBarPerM3H = 0.05;
/** Change of speed for an error of 1 bar, in 1 s. */
const gain = 0.08;

export const pump: MachineKind<Pump> = {
  kind: 'pump',
  everyTicks: 2,

  start: () => ({ isEnabled: true, setpointBar: 5, speed: 0.7, flowM3H: 20, pressureBar: 5, bearingC: 30 }),

  step(state, dtS, surroundings, random) {
    const isTurning = surroundings.isPowered && state.isEnabled;
    const demandM3H = clamp(wander(state.flowM3H, 6 + 30 * surroundings.load, 1.5, 10, dtS, random), 0, 60);
    const wanted = state.speed + gain * dtS * (state.setpointBar - state.pressureBar);
    const speed = isTurning ? clamp(wanted, 0, 1) : follow(state.speed, 0, 2, dtS);
    // Affinity laws: flow follows the speed, pressure its square.
    const flowM3H = isTurning ? demandM3H : state.flowM3H * Math.exp(-dtS / 2);
    return {
      ...state,
      speed,
      flowM3H,
      pressureBar: Math.max(0, headBar * speed ** 2 - lossBarPerM3H * flowM3H),
      bearingC: follow(state.bearingC, surroundings.ambientC + 28 * speed, 180, dtS),
    };
  },

  commands: {
    actions: startAndStop,
    setpoints: {
      pressure_setpoint: { low: 0, high: 10, apply: (state, value) => ({ ...state, setpointBar: value }) },
    },
  },

  powerKw: (state) => 11 * state.speed ** 3,

  readings: (state, random) => [
    reading('pressure', Math.max(0, state.pressureBar + 0.01 * gaussian(random)), 'bar', 2),
    reading('flow', state.flowM3H, 'm3/h', 1),
    reading('speed', state.speed * speedFullPerMinute, '/min', 0),
    reading('bearing_temperature', state.bearingC + 0.08 * gaussian(random), 'Cel', 1),
    { tag: 'enabled', value: state.isEnabled },
    reading('pressure_setpoint', state.setpointBar, 'bar', 2),
  ],
};
