import { clamp, type MachineKind, reading } from './machine.ts';
import { gaussian, happens } from './random.ts';

/** A curing oven: a heater under PID control, and a door through which heat is lost. */
export interface Oven {
  readonly chamberC: number;
  readonly setpointC: number;
  /** Heater, 0 to 1. */
  readonly heater: number;
  /** The controller's integral, K·s. */
  readonly integral: number;
  readonly errorBefore: number;
  readonly isDoorOpen: boolean;
  /** Seconds until the door opens or closes. */
  readonly doorS: number;
}

const heaterKw = 24;
const heatCapacityKjK = 38;
/** Heat lost through the walls, and ten times as much through the open door, kW/K. */
const lossClosedKwK = 0.07;
const lossOpenKwK = 0.7;
const gain = { proportional: 0.035, integral: 0.0006, derivative: 0.02 };

export const oven: MachineKind<Oven> = {
  kind: 'oven',
  everyTicks: 2,

  start: (random) => {
    const setpointC = 180 + Math.round(random() * 4) * 10;
    const chamberC = setpointC - random() * 40;
    return {
      chamberC,
      setpointC,
      heater: 0.6,
      integral: 0.5 / gain.integral,
      errorBefore: setpointC - chamberC,
      isDoorOpen: false,
      doorS: 30 + random() * 60,
    };
  },

  step(state, dtS, surroundings, random) {
    const isOn = surroundings.isPowered && surroundings.load > 0;
    let { isDoorOpen, doorS } = state;
    doorS -= dtS;
    if (doorS <= 0) {
      // Loaded and unloaded while the line runs; otherwise closed.
      isDoorOpen = isOn && !isDoorOpen;
      doorS = isDoorOpen ? 6 + 8 * random() : 60 + 90 * random();
    }
    const setpointC =
      isOn && !isDoorOpen && happens(random, dtS, 1800) ? 180 + Math.round(random() * 4) * 10 : state.setpointC;
    const targetC = isOn ? setpointC : 80;
    const error = targetC - state.chamberC;
    const raw =
      gain.proportional * error +
      gain.integral * state.integral +
      (gain.derivative * (error - state.errorBefore)) / dtS;
    const heater = surroundings.isPowered ? clamp(raw, 0, 1) : 0;
    // Anti-windup: the integral does not change while the heater is at its limit and the error would exceed it further.
    const integral = raw === heater || raw > 1 === error < 0 ? state.integral + error * dtS : state.integral;
    const lossKw = (isDoorOpen ? lossOpenKwK : lossClosedKwK) * (state.chamberC - surroundings.ambientC);
    return {
      chamberC: state.chamberC + ((heater * heaterKw - lossKw) * dtS) / heatCapacityKjK,
      setpointC,
      heater,
      integral: clamp(integral, 0, 1 / gain.integral),
      errorBefore: error,
      isDoorOpen,
      doorS,
    };
  },

  commands: {
    setpoints: {
      temperature_setpoint: { low: 20, high: 260, apply: (state, value) => ({ ...state, setpointC: value }) },
    },
  },

  powerKw: (state) => state.heater * heaterKw + 0.3,

  readings: (state, random) => [
    reading('temperature', state.chamberC + 0.15 * gaussian(random), 'Cel', 1),
    reading('temperature_setpoint', state.setpointC, 'Cel', 1),
    reading('heater', state.heater * 100, '%', 1),
    { tag: 'door_open', value: state.isDoorOpen },
  ],
};
