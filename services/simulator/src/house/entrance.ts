import { TailraceError } from '@tailrace/protocol/error';
import { reading } from '../plant/machine.ts';
import { happens } from '../plant/random.ts';
import type { HouseDeviceKind } from './house-device.ts';

/** The door of the house, with a contact, a motor lock, and a sensor that knows whether somebody is in. */
export interface Entrance {
  /** Seconds until somebody closes the door; 0: it is closed. */
  readonly openS: number;
  readonly isLocked: boolean;
  readonly isOccupied: boolean;
  readonly openings: number;
}

/** While people are in, one of them opens the door this often. */
const openedEveryS = 900;
/** Of those who leave an empty house, one in so many does not close the door properly. */
const leftOpenOneIn = 5;

export const entrance: HouseDeviceKind<Entrance> = {
  start: (random) => ({ openS: 0, isLocked: false, isOccupied: true, openings: Math.floor(random() * 9_000) }),

  step(state, dtS, { persons, passages }, random) {
    const isOccupied = persons > 0;
    const isOpened = passages > 0 || (isOccupied && happens(random, dtS, openedEveryS));
    if (!isOpened) return { ...state, isOccupied, openS: Math.max(0, state.openS - dtS) };
    const isLeftOpen = !isOccupied && random() < 1 / leftOpenOneIn;
    const openS = isLeftOpen ? 240 + 240 * random() : 5 + 10 * random();
    // Who comes has a key.
    return { isOccupied, isLocked: false, openS, openings: state.openings + 1 };
  },

  commands: {
    actions: {
      lock(state) {
        if (state.openS > 0) throw new TailraceError('forbidden', 'lock: expected a closed door, got an open one');
        return { ...state, isLocked: true };
      },
      unlock: (state) => ({ ...state, isLocked: false }),
    },
  },

  readings: ({ openS, isLocked, isOccupied, openings }) => [
    { tag: 'open', value: openS > 0 },
    { tag: 'locked', value: isLocked },
    { tag: 'occupied', value: isOccupied },
    reading('openings', openings, '1', 0),
  ],
};
