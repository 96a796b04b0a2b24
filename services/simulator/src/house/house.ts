import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import type { PlantCommand } from '../plant/command.ts';
import { stepSecondsMax } from '../plant/machine.ts';
import { createRandom } from '../plant/random.ts';
import { entrance } from './entrance.ts';
import { heatedRoom } from './heated-room.ts';
import { createHouseDevice, type HouseDevice } from './house-device.ts';
import { lamp } from './lamp.ts';
import { personsAt, presenceSensor } from './presence.ts';

/** A smart home, `home`: four lamps, the heating of three rooms, the door, and who is in. */
export interface House {
  /** Every device path, in a stable order. */
  readonly devices: readonly string[];
  /**
   * Advances the house by `dtS` seconds. Returns the reports at `timeMs`: of each second tick, and of devices that a
   * command has changed.
   */
  tick(timeMs: number, dtS: number): Report[];
  /** Changes a device, which the next tick shows. Throws as `Plant.command`. */
  command(device: string, command: PlantCommand): void;
}

const everyTicks = 2;
const lamps = ['bedroom', 'hall', 'kitchen', 'living'];
/** Initial targets, °C. */
const rooms = { bedroom: 18, kitchen: 20, living: 21 } as const;

/** Creates a house. The same seed, ticks and commands produce the same house. */
export function createHouse(seed: number): House {
  const random = createRandom(seed);
  const all: readonly HouseDevice[] = [
    ...lamps.map((name) => createHouseDevice(`home.lamps.${name}`, lamp, random)),
    ...Object.entries(rooms).map(([name, target]) =>
      createHouseDevice(`home.heating.${name}`, heatedRoom(target), random),
    ),
    createHouseDevice('home.entrance', entrance, random),
    createHouseDevice('home.presence', presenceSensor, random),
  ];
  const changed = new Set<string>();
  let persons: number | undefined;
  let ticks = 0;
  return {
    devices: all.map(({ device }) => device),
    tick(timeMs, dtS) {
      const spanS = Math.min(Math.max(dtS, 0.001), stepSecondsMax);
      const present = personsAt(timeMs, seed);
      const passages = Math.abs(present - (persons ?? present));
      persons = present;
      const reports: Report[] = [];
      for (const device of all) {
        device.step(spanS, { persons, passages, outsideC: outsideTemperatureC(timeMs) });
        if (ticks % everyTicks === 0 || changed.has(device.device))
          reports.push({ device: device.device, time: timeMs, readings: device.readings() });
      }
      changed.clear();
      ticks++;
      return reports;
    },
    command(path, command) {
      const device = all.find((each) => each.device === path);
      if (device === undefined)
        throw new TailraceError('not_found', `device: expected one of the house, got ${shown(path)}`);
      device.command(command);
      changed.add(path);
    },
  };
}

/** Returns the temperature outside, °C: warmest at 15:00 UTC. */
function outsideTemperatureC(timeMs: number): number {
  const hour = (timeMs / 3_600_000) % 24;
  return 6 + 4 * Math.cos(((hour - 15) / 24) * 2 * Math.PI);
}
