import { type MachineKind, reading } from './machine.ts';
import { happens } from './random.ts';

/** The gate of the robot cell. Somebody goes in now and then; the robots and the belt stand meanwhile. */
export interface Door {
  readonly open: boolean;
  /** Seconds until an open gate is shut. */
  readonly openS: number;
  readonly openings: number;
  readonly locked: boolean;
}

const openedEveryS = 240;

export const door: MachineKind<Door> = {
  kind: 'door',
  everyTicks: 2,

  start: (random) => ({ open: false, openS: 0, openings: Math.floor(random() * 40_000), locked: true }),

  step(state, dtS, around, random) {
    if (state.open) {
      const openS = Math.max(0, state.openS - dtS);
      return { ...state, openS, open: openS > 0, locked: openS === 0 && around.load > 0.05 };
    }
    if (!happens(random, dtS, openedEveryS)) return { ...state, locked: around.load > 0.05 };
    return { open: true, openS: 6 + 20 * random(), openings: state.openings + 1, locked: false };
  },

  powerKw: () => 0.05,

  readings: (state) => [
    { tag: 'open', value: state.open },
    { tag: 'locked', value: state.locked },
    reading('openings', state.openings, '1', 0),
  ],
};
