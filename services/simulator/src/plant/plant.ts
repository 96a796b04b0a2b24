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
import { type Sensor, sense, goodSensor, stepSensor } from './sensor.ts';
import { hallTemperatureC, shiftLoad } from './shift.ts';
import { spindle } from './spindle.ts';

/** The plant: three lines of ten machines, `plant1.line1.press1` to `plant1.line3.meter1`. */
export interface Plant {
  /** Every device path, in a stable order. */
  readonly devices: readonly string[];
  /**
   * Advances the plant by `dtS` seconds. Returns the reports at `timeMs`, one for each machine that reports at this
   * tick.
   */
  tick(timeMs: number, dtS: number): Report[];
}

/** One machine and its state, so that machines of different kinds fit into one list. */
interface Machine {
  readonly device: string;
  readonly everyTicks: number;
  step(dtS: number, surroundings: Surroundings): void;
  powerKw(): number;
  hasOpenGate(): boolean;
  readings(dtS: number): Reading[];
}

const lines = 3;
const lineOffsetS = 160;

/** Creates a plant. The same seed produces the same plant. */
export function createPlant(seed: number): Plant {
  const random = createRandom(seed);
  const productionLines = Array.from({ length: lines }, (_, line) => createLine(`plant1.line${line + 1}`, random));
  let ticks = 0;
  return {
    devices: productionLines.flat().map((machine) => machine.device),
    tick(timeMs, dtS) {
      const spanS = Math.min(Math.max(dtS, 0.001), stepSecondsMax);
      const reports: Report[] = [];
      for (const [line, machines] of productionLines.entries()) {
        const surroundings: Surroundings = {
          load: shiftLoad(timeMs, line * lineOffsetS),
          ambientC: hallTemperatureC(timeMs),
          isGateOpen: machines.some((machine) => machine.hasOpenGate()),
          linePowerKw: machines.reduce((sum, machine) => sum + machine.powerKw(), 0),
          isPowered: true,
        };
        for (const machine of machines) {
          machine.step(spanS, surroundings);
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
    createMachine(path, 1, door, random, (state) => state.isOpen),
    createMachine(path, 1, meter, random),
  ];
}

function createMachine<State>(
  line: string,
  number: number,
  kind: MachineKind<State>,
  plantRandom: Random,
  hasOpenGate: (state: State) => boolean = () => false,
): Machine {
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
    hasOpenGate: () => hasOpenGate(state),
    readings: (dtS) =>
      kind.readings(state, random).map((reading) => {
        const sensor = stepSensor(sensors.get(reading.tag) ?? goodSensor, dtS, random);
        const sensed = sense(sensor, reading);
        sensors.set(reading.tag, sensed.sensor);
        return sensed.reading;
      }),
  };
}
