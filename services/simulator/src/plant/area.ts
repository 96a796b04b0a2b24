import { compressor } from './compressor.ts';
import { conveyor } from './conveyor.ts';
import { door } from './door.ts';
import { meter } from './meter.ts';
import { oven } from './oven.ts';
import { press } from './press.ts';
import { pump } from './pump.ts';
import type { Random } from './random.ts';
import { type Robot, robot } from './robot.ts';
import { createMachine, type MachineRole, type SimulatedMachine } from './simulated-machine.ts';
import { spindle } from './spindle.ts';

/** Machines that share load, power and a gate: a production line, the robot cell, or the utilities. */
export interface Area {
  /** Path above its machines, as `plant1.line1`. */
  readonly path: string;
  readonly machines: readonly SimulatedMachine[];
  /** How much later its shift starts than that of line 1, s. */
  readonly shiftOffsetS: number;
}

const lines = 3;
const lineOffsetS = 160;
const robots: MachineRole<Robot> = { hasMovingRobot: ({ speed }) => speed > 0.05 };

/** Creates the areas of the plant. Later ones do not change the random numbers of those before. */
export function createAreas(random: Random): Area[] {
  const areas = Array.from({ length: lines }, (_, line): Area => {
    const path = `plant1.line${line + 1}`;
    return { path, machines: createLine(path, random), shiftOffsetS: line * lineOffsetS };
  });
  areas.push({ path: 'plant1.cell1', machines: createCell('plant1.cell1', random), shiftOffsetS: 80 });
  areas.push({ path: 'plant1.utility', machines: createUtilities('plant1.utility', random), shiftOffsetS: 240 });
  return areas;
}

function createLine(path: string, random: Random): SimulatedMachine[] {
  return [
    createMachine(path, 1, press, random),
    createMachine(path, 2, press, random),
    createMachine(path, 1, spindle, random),
    createMachine(path, 1, conveyor, random),
    createMachine(path, 1, oven, random),
    createMachine(path, 1, compressor, random),
    createMachine(path, 1, robot, random, robots),
    createMachine(path, 2, robot, random, robots),
    createMachine(path, 1, door, random, { hasOpenGate: ({ isOpen }) => isOpen }),
    createMachine(path, 1, meter, random),
  ];
}

function createCell(path: string, random: Random): SimulatedMachine[] {
  return [
    createMachine(path, 1, robot, random, robots),
    createMachine(path, 1, conveyor, random),
    createMachine(path, 1, door, random, { hasOpenGate: ({ isOpen }) => isOpen }),
    createMachine(path, 1, meter, random),
  ];
}

function createUtilities(path: string, random: Random): SimulatedMachine[] {
  return [
    createMachine(path, 1, compressor, random),
    createMachine(path, 2, compressor, random),
    createMachine(path, 1, oven, random),
    createMachine(path, 1, meter, random),
    createMachine(path, 2, meter, random),
    createMachine(path, 3, meter, random),
    createMachine(path, 1, pump, random),
  ];
}
