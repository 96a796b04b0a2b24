import { clamp, reading } from '../plant/machine.ts';
import { follow, gaussian } from '../plant/random.ts';
import type { HouseDeviceKind } from './house-device.ts';

/** A room with a radiator, whose thermostat opens the valve as the room is colder than its target. */
export interface HeatedRoom {
  readonly temperatureC: number;
  readonly targetC: number;
  /** 0: closed; 1: open. */
  readonly valve: number;
}

/** Time constant of the room. A real one has hours: a viewer should see it follow. */
const roomTauS = 300;
/** Temperature of the room above that outside with an open valve, in equilibrium. */
const heatingFullK = 32;
/** The valve is open when the room is this much colder than its target, as a proportional thermostat does it. */
const proportionalBandK = 1;

/** Returns a room with an initial target of `targetC`, °C. */
export function heatedRoom(targetC: number): HouseDeviceKind<HeatedRoom> {
  return {
    start: (random) => ({ temperatureC: targetC - 1 + random(), targetC, valve: 0.5 }),
    step(state, dtS, { outsideC }) {
      const valve = clamp((state.targetC - state.temperatureC) / proportionalBandK, 0, 1);
      const temperatureC = follow(state.temperatureC, outsideC + heatingFullK * valve, roomTauS, dtS);
      return { ...state, valve, temperatureC };
    },
    commands: {
      setpoints: { target: { low: 5, high: 25, apply: (state, value) => ({ ...state, targetC: value }) } },
    },
    readings: (state, random) => [
      reading('temperature', state.temperatureC + 0.03 * gaussian(random), 'Cel', 1),
      reading('target', state.targetC, 'Cel', 1),
      reading('valve', 100 * state.valve, '%', 0),
    ],
  };
}
