import type { Reading, Report } from '@tailrace/protocol/report';
import { compressor } from './compressor.ts';
import { conveyor } from './conveyor.ts';
import { door } from './door.ts';
import { type MachineKind, type Surroundings, stepSecondsMax } from './machine.ts';
import { meter } from './meter.ts';
import { oven } from './oven.ts';
import { press } from './press.ts';
import { createRandom, type Random } from './random.ts';
import { robot } from './robot.ts';
import { type Sensor, sense, soundSensor, stepSensor } from './sensor.ts';
import { hallC, shiftLoad } from './shift.ts';
import { spindle } from './spindle.ts';

/** The plant: three lines of ten machines, `plant1.line1.press1` to `plant1.line3.meter1`. */
export interface Plant {
  /** Every device path, in a stable order. */
  readonly devices: readonly string[];
  /** Moves the plant `dtS` seconds on and tells what its sensors say at `timeMs`, one report a machine that reports at this tick. */
  tick(timeMs: number, dtS: number): Report[];
}

/** One machine with its state inside, so that machines of different kinds fit into one list. */
interface Machine {
  readonly device: string;
  readonly everyTicks: number;
  step(dtS: number, around: Surroundings): void;
  powerKw(): number;
  isOpenGate(): boolean;
  readings(dtS: number): Reading[];
}

const lines = 3;
const lineOffsetS = 160;

/** A plant that is the same for the same seed. */
export function createPlant(seed: number): Plant {
  const random = createRandom(seed);
  const halls = Array.from({ length: lines }, (_, line) => createLine(`plant1.line${line + 1}`, random));
  let ticks = 0;
  return {
    devices: halls.flat().map((machine) => machine.device),
    tick(timeMs, dtS) {
      const spanS = Math.min(Math.max(dtS, 0.001), stepSecondsMax);
      const reports: Report[] = [];
      for (const [line, machines] of halls.entries()) {
        const around: Surroundings = {
          load: shiftLoad(timeMs, line * lineOffsetS),
          ambientC: hallC(timeMs),
          gateOpen: machines.some((machine) => machine.isOpenGate()),
          linePowerKw: machines.reduce((sum, machine) => sum + machine.powerKw(), 0),
          powered: true,
        };
        for (const machine of machines) {
          machine.step(spanS, around);
          if (ticks % machine.everyTicks !== 0) continue;
          reports.push({
            device: machine.device,
            time: timeMs,
            readings: machine.readings(spanS * machine.everyTicks),
          });
        }
      }
      ticks++;
      return reports;
    },
  };
}

function createLine(path: string, random: Random): Machine[] {
  return [
    createMachine(path, 1, press, random),
    createMachine(path, 2, press, random),
    createMachine(path, 1, spindle, random),
    createMachine(path, 1, conveyor, random),
    createMachine(path, 1, oven, random),
    createMachine(path, 1, compressor, random),
    createMachine(path, 1, robot, random),
    createMachine(path, 2, robot, random),
    createMachine(path, 1, door, random, (state) => state.open),
    createMachine(path, 1, meter, random),
  ];
}

function createMachine<State>(
  line: string,
  number: number,
  kind: MachineKind<State>,
  plantRandom: Random,
  isOpenGate: (state: State) => boolean = () => false,
): Machine {
  // A source of its own, so that adding a machine does not change what the others do.
  const random = createRandom(Math.floor(plantRandom() * 0x1_0000_0000));
  let state = kind.start(random);
  const sensors = new Map<string, Sensor>();
  return {
    device: `${line}.${kind.kind}${number}`,
    everyTicks: kind.everyTicks,
    step(dtS, around) {
      state = kind.step(state, dtS, around, random);
    },
    powerKw: () => kind.powerKw(state),
    isOpenGate: () => isOpenGate(state),
    readings: (dtS) =>
      kind.readings(state, random).map((reading) => {
        const sensor = stepSensor(sensors.get(reading.tag) ?? soundSensor, dtS, random);
        const sensed = sense(sensor, reading);
        sensors.set(reading.tag, sensed.sensor);
        return sensed.reading;
      }),
  };
}
