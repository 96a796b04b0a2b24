import type { Reading } from '@tailrace/protocol/report';
import { type CommandSet, obey, type PlantCommand } from '../plant/command.ts';
import { createRandom, type Random } from '../plant/random.ts';

/** What is the same for all devices of the house. */
export interface HouseSurroundings {
  /** People in the house. */
  readonly persons: number;
  /** People who have come or gone since the step before: each of them opens the door. */
  readonly passages: number;
  /** Air outside, °C. */
  readonly outsideC: number;
}

/** A kind of device, as pure functions. `step` returns the state `dtS` seconds later, and changes no argument. */
export interface HouseDeviceKind<State> {
  start(random: Random): State;
  step(state: State, dtS: number, surroundings: HouseSurroundings, random: Random): State;
  readonly commands: CommandSet<State>;
  readings(state: State, random: Random): Reading[];
}

/** One device and its state, so that devices of different kinds fit into one list. */
export interface HouseDevice {
  readonly device: string;
  step(dtS: number, surroundings: HouseSurroundings): void;
  readings(): Reading[];
  /** Throws as `obey` does; then nothing changes. */
  command(command: PlantCommand): void;
}

/** Creates a device of the house. It takes one random number of the house. */
export function createHouseDevice<State>(
  device: string,
  kind: HouseDeviceKind<State>,
  houseRandom: Random,
): HouseDevice {
  const random = createRandom(Math.floor(houseRandom() * 0x1_0000_0000));
  let state = kind.start(random);
  return {
    device,
    step(dtS, surroundings) {
      state = kind.step(state, dtS, surroundings, random);
    },
    readings: () => kind.readings(state, random),
    command(command) {
      state = obey(state, command, kind.commands);
    },
  };
}
