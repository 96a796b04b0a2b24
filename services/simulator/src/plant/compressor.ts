import { clamp, type MachineKind, reading } from './machine.ts';
import { follow, gaussian, wander } from './random.ts';

/** A screw compressor that fills a tank, switched on and off by the tank's pressure, with the line drawing air. */
export interface Compressor {
  readonly tankBar: number;
  readonly demandM3Min: number;
  readonly loaded: boolean;
  readonly outletC: number;
  readonly runHours: number;
}

const tankM3 = 1.5;
const deliveryM3Min = 5.2;
const cutInBar = 6.5;
const cutOutBar = 8;
/** The safety valve. */
const pressureMaxBar = 9.5;

export const compressor: MachineKind<Compressor> = {
  kind: 'compressor',
  everyTicks: 2,

  start: (random) => ({
    tankBar: 6.6 + random() * 1.3,
    demandM3Min: 1,
    loaded: random() < 0.5,
    outletC: 45,
    runHours: 1000 + random() * 20_000,
  }),

  step(state, dtS, around, random) {
    // A standing line still leaks.
    const demandM3Min = clamp(wander(state.demandM3Min, 0.35 + 2.9 * around.load, 0.45, 12, dtS, random), 0.1, 5);
    const loaded = around.powered && (state.tankBar <= cutInBar || (state.loaded && state.tankBar < cutOutBar));
    // Boyle: free air in, less free air out, over the volume of the tank, in bar.
    const netM3 = (((loaded ? deliveryM3Min : 0) - demandM3Min) * dtS) / 60;
    return {
      tankBar: clamp(state.tankBar + netM3 / tankM3, 0, pressureMaxBar),
      demandM3Min,
      loaded,
      outletC: follow(state.outletC, around.ambientC + (loaded ? 58 : 14), 60, dtS),
      runHours: state.runHours + (loaded ? dtS / 3600 : 0),
    };
  },

  powerKw: (state) => (state.loaded ? 33 : 7),

  readings: (state, random) => [
    reading('tank_pressure', Math.max(0, state.tankBar + 0.01 * gaussian(random)), 'bar', 2),
    reading('air_flow', state.demandM3Min, 'm3/min', 2),
    reading('outlet_temperature', state.outletC + 0.1 * gaussian(random), 'Cel', 1),
    reading('run_hours', state.runHours, 'h', 2),
    { tag: 'loaded', value: state.loaded },
  ],
};
