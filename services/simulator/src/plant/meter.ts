import { type MachineKind, reading } from './machine.ts';
import { gaussian, wander } from './random.ts';

/** The energy meter of a line. */
export interface Meter {
  readonly powerKw: number;
  readonly energyKwh: number;
  readonly voltage: number;
  readonly frequencyHz: number;
  readonly powerFactor: number;
}

export const meter: MachineKind<Meter> = {
  kind: 'meter',
  everyTicks: 2,

  start: (random) => ({
    powerKw: 0,
    energyKwh: 100_000 + random() * 900_000,
    voltage: 400,
    frequencyHz: 50,
    powerFactor: 0.9,
  }),

  step: (state, dtS, surroundings, random) => ({
    powerKw: surroundings.linePowerKw,
    energyKwh: state.energyKwh + (surroundings.linePowerKw * dtS) / 3600,
    // The voltage at the end of the cable falls with the power that the line draws.
    voltage: wander(state.voltage, 402 - surroundings.linePowerKw * 0.02, 1.2, 20, dtS, random),
    frequencyHz: wander(state.frequencyHz, 50, 0.015, 30, dtS, random),
    powerFactor: Math.min(1, wander(state.powerFactor, 0.86 + 0.06 * surroundings.load, 0.01, 15, dtS, random)),
  }),

  commands: {},

  powerKw: () => 0,

  readings: (state, random) => [
    reading('power', Math.max(0, state.powerKw + 0.05 * gaussian(random)), 'kW', 2),
    reading('energy', state.energyKwh, 'kW.h', 3),
    reading('voltage', state.voltage, 'V', 1),
    reading('current', (state.powerKw * 1000) / (Math.sqrt(3) * state.voltage * state.powerFactor), 'A', 1),
    reading('frequency', state.frequencyHz, 'Hz', 3),
    reading('power_factor', state.powerFactor, '1', 3),
  ],
};
