import type { Reading } from '@tailrace/protocol/report';
import { obey, type PlantCommand } from './command.ts';
import type { MachineKind, Surroundings } from './machine.ts';
import { createRandom, type Random } from './random.ts';
import { goodSensor, type Sensor, sense, stepSensor } from './sensor.ts';

/** One machine and its state, so that machines of different kinds fit into one list. */
export interface SimulatedMachine {
  readonly device: string;
  readonly everyTicks: number;
  step(dtS: number, surroundings: Surroundings): void;
  powerKw(): number;
  hasOpenGate(): boolean;
  hasMovingRobot(): boolean;
  /** Returns the readings that its sensors send, `dtS` after the ones before. */
  readings(dtS: number): Reading[];
  /** Throws as `obey` does; then nothing changes. */
  command(command: PlantCommand): void;
}

/** What a machine means to the others of its line. */
export interface MachineRole<State> {
  hasOpenGate?(state: State): boolean;
  hasMovingRobot?(state: State): boolean;
}

/** Creates machine `number` of its kind in a line. It takes one random number of the plant. */
export function createMachine<State>(
  line: string,
  number: number,
  kind: MachineKind<State>,
  plantRandom: Random,
  role: MachineRole<State> = {},
): SimulatedMachine {
  // Its own random numbers, so that adding a machine does not change the others.
  const random = createRandom(Math.floor(plantRandom() * 0x1_0000_0000));
  let state = kind.start(random);
  const sensors = new Map<string, Sensor>();
  return {
    device: `${line}.${kind.kind}${number}`,
    everyTicks: kind.everyTicks,
    step(dtS, surroundings) {
      state = kind.step(state, dtS, surroundings, random);
    },
    powerKw: () => kind.powerKw(state),
    hasOpenGate: () => role.hasOpenGate?.(state) ?? false,
    hasMovingRobot: () => role.hasMovingRobot?.(state) ?? false,
    readings: (dtS) =>
      kind.readings(state, random).map((reading) => {
        const sensor = stepSensor(sensors.get(reading.tag) ?? goodSensor, dtS, random);
        const sensed = sense(sensor, reading);
        sensors.set(reading.tag, sensed.sensor);
        return sensed.reading;
      }),
    command(command) {
      state = obey(state, command, kind.commands);
    },
  };
}
