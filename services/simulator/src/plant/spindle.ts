import { startAndStop } from './command.ts';
import { clamp, type MachineKind, reading } from './machine.ts';
import { follow, gaussian, happens, wander } from './random.ts';

/** A motor spindle on a bearing that wears: vibration and temperature rise until the bearing is replaced. */
export interface Spindle {
  readonly isEnabled: boolean;
  readonly speedPerMinute: number;
  readonly torqueNm: number;
  /** 0: new; 1: worn out. Only grows until the bearing is replaced. */
  readonly wear: number;
  readonly bearingC: number;
  readonly vibrationMmS: number;
  readonly bearingsReplaced: number;
  /** Seconds until the bearing is replaced; 0: no service. */
  readonly serviceS: number;
}

const speedFullPerMinute = 12_000;
/** A bearing lasts about 40 minutes, so that a viewer sees it wear; a real one lasts years. */
const lifeS = 2400;
const serviceTimeS = 45;
/** ISO 20816-3: a machine of this size is new below 1.4 mm/s RMS and must stop above 7.1. */
const vibrationNewMmS = 0.7;
const vibrationWornMmS = 8.5;

export const spindle: MachineKind<Spindle> = {
  kind: 'spindle',
  everyTicks: 1,

  start: (random) => ({
    isEnabled: true,
    speedPerMinute: 0,
    torqueNm: 0,
    wear: random() * 0.7,
    bearingC: 28,
    vibrationMmS: 0,
    bearingsReplaced: 0,
    serviceS: 0,
  }),

  step(state, dtS, surroundings, random) {
    const isTurning = surroundings.isPowered && state.isEnabled && state.serviceS <= 0;
    const speedPerMinute = Math.max(
      0,
      follow(state.speedPerMinute, isTurning ? surroundings.load * speedFullPerMinute : 0, 6, dtS),
    );
    const share = speedPerMinute / speedFullPerMinute;
    const torqueNm = isTurning ? clamp(wander(state.torqueNm, 38 * surroundings.load, 4, 8, dtS, random), 0, 70) : 0;
    const isReplaced = state.serviceS > 0 && state.serviceS - dtS <= 0;
    // Vibration increases wear, and wear vibration.
    const worn = Math.min(1, state.wear + (share * dtS * (0.4 + 1.8 * state.wear) * (0.8 + 0.4 * random())) / lifeS);
    const wear = isReplaced ? 0 : worn;
    const serviceS = Math.max(0, state.serviceS - dtS);
    const shake = (vibrationNewMmS + (vibrationWornMmS - vibrationNewMmS) * wear ** 2.2) * share;
    const friction = 22 * share + 34 * wear ** 2 * share;
    return {
      ...state,
      speedPerMinute,
      torqueNm,
      wear,
      bearingC: follow(state.bearingC, surroundings.ambientC + friction, 90, dtS),
      vibrationMmS: Math.max(0, shake * (1 + 0.05 * gaussian(random))),
      bearingsReplaced: state.bearingsReplaced + (isReplaced ? 1 : 0),
      serviceS: wear >= 1 && serviceS === 0 && !isReplaced && happens(random, dtS, 20) ? serviceTimeS : serviceS,
    };
  },

  commands: { actions: startAndStop },

  // P = M · ω
  powerKw: (state) => 0.4 + (state.torqueNm * state.speedPerMinute * 2 * Math.PI) / 60_000,

  readings: (state, random) => [
    reading('speed', state.speedPerMinute, '/min', 0),
    reading('torque', state.torqueNm, 'N.m', 1),
    reading('vibration', state.vibrationMmS, 'mm/s', 2),
    reading('bearing_temperature', state.bearingC + 0.08 * gaussian(random), 'Cel', 1),
    { tag: 'state', value: state.serviceS > 0 ? 'bearing service' : state.speedPerMinute > 60 ? 'cutting' : 'idle' },
    { tag: 'enabled', value: state.isEnabled },
  ],
};
