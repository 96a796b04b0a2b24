import { TailraceError } from '@tailrace/protocol/error';
import { type MachineKind, reading } from './machine.ts';
import { happens } from './random.ts';

/** The gate of the robot cell. While it is open, robots and belt are stopped; while a robot moves, it is locked. */
export interface Door {
  readonly isOpen: boolean;
  /** Seconds until an open gate closes; without end after a command. */
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
      return { ...state, openS, isOpen: openS > 0, isLocked: openS === 0 && surroundings.isRobotMoving };
    }
    // A person with a key.
    if (!happens(random, dtS, openedEveryS)) return { ...state, isLocked: surroundings.isRobotMoving };
    return { isOpen: true, openS: 6 + 20 * random(), openings: state.openings + 1, isLocked: false };
  },

  commands: {
    actions: {
      open(state) {
        if (state.isLocked) {
          throw new TailraceError(
            'forbidden',
            'open: expected an unlocked gate, got one that is locked as robots move',
          );
        }
        const openings = state.openings + (state.isOpen ? 0 : 1);
        return { ...state, isOpen: true, openS: Number.POSITIVE_INFINITY, openings };
      },
      close: (state) => ({ ...state, isOpen: false, openS: 0 }),
    },
  },

  powerKw: () => 0.05,

  readings: (state) => [
    { tag: 'open', value: state.isOpen },
    { tag: 'locked', value: state.isLocked },
    reading('openings', state.openings, '1', 0),
  ],
};
