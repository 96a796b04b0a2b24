import { type MachineKind, reading } from './machine.ts';
import { happens } from './random.ts';

/** The gate of the robot cell. While a person is inside, robots and belt are stopped. */
export interface Door {
  readonly isOpen: boolean;
  /** Seconds until an open gate closes. */
  readonly openS: number;
  readonly openings: number;
  readonly isLocked: boolean;
}

const openedEveryS = 240;

export const door: MachineKind<Door> = {
  kind: 'door',
  everyTicks: 2,

  start: (random) => ({ isOpen: false, openS: 0, openings: Math.floor(random() * 40_000), isLocked: true }),

  step(state, dtS, surroundings, random) {
    if (state.isOpen) {
      const openS = Math.max(0, state.openS - dtS);
      return { ...state, openS, isOpen: openS > 0, isLocked: openS === 0 && surroundings.load > 0.05 };
    }
    if (!happens(random, dtS, openedEveryS)) return { ...state, isLocked: surroundings.load > 0.05 };
    return { isOpen: true, openS: 6 + 20 * random(), openings: state.openings + 1, isLocked: false };
  },

  powerKw: () => 0.05,

  readings: (state) => [
    { tag: 'open', value: state.isOpen },
    { tag: 'locked', value: state.isLocked },
    reading('openings', state.openings, '1', 0),
  ],
};
