import { reading } from '../plant/machine.ts';
import { createRandom, happens } from '../plant/random.ts';
import type { HouseDeviceKind } from './house-device.ts';

const persons = 2;
const dayMs = 86_400_000;

/**
 * Returns how many people are in the house: by the hour of the day, UTC. On weekdays they leave between 7:30 and 8:30,
 * and come back between 16:30 and 18:30; at weekends they are out for some hours around noon.
 */
export function personsAt(timeMs: number, seed: number): number {
  const day = Math.floor(timeMs / dayMs);
  const hour = (timeMs % dayMs) / 3_600_000;
  const weekday = new Date(timeMs).getUTCDay();
  const [leave, stay] = weekday === 0 || weekday === 6 ? [10.5, 3] : [7.5, 9];
  let count = 0;
  for (let person = 0; person < persons; person++) {
    const random = createRandom(seed + day * persons + person);
    const leaveHour = leave + random();
    const returnHour = leave + stay + 2 * random();
    if (hour < leaveHour || hour >= returnHour) count++;
  }
  return count;
}

/** A sensor of motion, and how many telephones of the people are near. */
export interface PresenceSensor {
  readonly persons: number;
  /** Seconds until it reports no motion again. */
  readonly motionS: number;
}

const motionEveryS = 60;

export const presenceSensor: HouseDeviceKind<PresenceSensor> = {
  start: () => ({ persons, motionS: 0 }),
  step(state, dtS, { persons: present, passages }, random) {
    const isMoving = passages > 0 || (present > 0 && happens(random, dtS, motionEveryS / present));
    return { persons: present, motionS: isMoving ? 10 + 20 * random() : Math.max(0, state.motionS - dtS) };
  },
  commands: {},
  readings: ({ persons: present, motionS }) => [
    reading('persons', present, '1', 0),
    { tag: 'occupied', value: present > 0 },
    { tag: 'motion', value: motionS > 0 },
  ],
};
