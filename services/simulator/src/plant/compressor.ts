import { startAndStop } from './command.ts';
import { clamp, type MachineKind, reading } from './machine.ts';
import { follow, gaussian, wander } from './random.ts';

/** A screw compressor that fills a tank. The pressure of the tank switches it; the line draws air. */
export interface Compressor {
  readonly isEnabled: boolean;
  /** Pressure at which it loads. It unloads `hysteresisBar` above. */
  readonly setpointBar: number;
  readonly tankBar: number;
  readonly demandM3Min: number;
  readonly isLoaded: boolean;
  readonly outletC: number;
  readonly runHours: number;
}

const tankM3 = 1.5;
const deliveryM3Min = 5.2;
const hysteresisBar = 1.5;
/** The safety valve. */
const pressureMaxBar = 9.5;

export const compressor: MachineKind<Compressor> = {
  kind: 'compressor',
  everyTicks: 2,

  start: (random) => ({
    isEnabled: true,
    setpointBar: 6.5,
    tankBar: 6.6 + random() * 1.3,
    demandM3Min: 1,
    isLoaded: random() < 0.5,
    outletC: 45,
    runHours: 1000 + random() * 20_000,
  }),

  step(state, dtS, surroundings, random) {
    // A stopped line leaks.
    const demandM3Min = clamp(wander(state.demandM3Min, 0.35 + 2.9 * surroundings.load, 0.45, 12, dtS, random), 0.1, 5);
    const unloadsAtBar = state.setpointBar + (state.isLoaded ? hysteresisBar : 0);
    const isLoaded = surroundings.isPowered && state.isEnabled && state.tankBar <= unloadsAtBar;
    // Boyle: free air in, less free air out, over the volume of the tank, in bar.
    const netM3 = (((isLoaded ? deliveryM3Min : 0) - demandM3Min) * dtS) / 60;
    return {
      ...state,
      tankBar: clamp(state.tankBar + netM3 / tankM3, 0, pressureMaxBar),
      demandM3Min,
      isLoaded,
      outletC: follow(state.outletC, surroundings.ambientC + (isLoaded ? 58 : 14), 60, dtS),
      runHours: state.runHours + (isLoaded ? dtS / 3600 : 0),
    };
  },

  commands: {
    actions: startAndStop,
    setpoints: {
      pressure_setpoint: { low: 0, high: 10, apply: (state, value) => ({ ...state, setpointBar: value }) },
    },
  },

  powerKw: (state) => (state.isLoaded ? 33 : state.isEnabled ? 7 : 0.2),

  readings: (state, random) => [
    reading('tank_pressure', Math.max(0, state.tankBar + 0.01 * gaussian(random)), 'bar', 2),
    reading('air_flow', state.demandM3Min, 'm3/min', 2),
    reading('outlet_temperature', state.outletC + 0.1 * gaussian(random), 'Cel', 1),
    reading('run_hours', state.runHours, 'h', 2),
    { tag: 'loaded', value: state.isLoaded },
    { tag: 'enabled', value: state.isEnabled },
    reading('pressure_setpoint', state.setpointBar, 'bar', 2),
  ],
};
