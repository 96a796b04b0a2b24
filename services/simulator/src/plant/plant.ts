import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { type Area, createAreas } from './area.ts';
import type { PlantCommand } from './command.ts';
import { createDropout } from './dropout.ts';
import { createFailure } from './failure.ts';
import { type Surroundings, stepSecondsMax } from './machine.ts';
import { calm, type Mood, type MoodEffect, type MoodOptions, moods } from './mood.ts';
import { createRandom } from './random.ts';
import { createDrift } from './sensor-drift.ts';
import { hallTemperatureC, shiftLoad } from './shift.ts';
import type { SimulatedMachine } from './simulated-machine.ts';
import { createStorm } from './storm.ts';

/**
 * The plant: three lines of ten machines, `plant1.line1.press1` to `plant1.line3.meter1`, the robot cell
 * `plant1.cell1`, the utilities `plant1.utility`, and `plant1.simulator`, which reports the mood and takes
 * `set {mood}`.
 */
export interface Plant {
  /** Every device path, in a stable order. */
  readonly devices: readonly string[];
  readonly mood: Mood;
  /**
   * Advances the plant by `dtS` seconds. Returns the reports at `timeMs`, one for each machine that reports at this
   * tick, or what the mood makes of them.
   */
  tick(timeMs: number, dtS: number): Report[];
  /**
   * Changes a machine, which the next tick shows. Throws `not_found` for an unknown device, command or tag,
   * `invalid_message` for parameters of another form, and `forbidden` for what the machine refuses.
   */
  command(device: string, command: PlantCommand): void;
  /** Whether the device has its link to the outside. */
  isLinked(device: string): boolean;
}

/** The device that stands for the simulator itself. */
export const simulatorDevice = 'plant1.simulator';

/** Ticks between two reports of the simulator. */
const moodEveryTicks = 20;

const effects: Readonly<Record<Mood, (options: MoodOptions) => MoodEffect>> = {
  calm: () => calm,
  drift: createDrift,
  storm: createStorm,
  dropout: createDropout,
  failure: createFailure,
};

/** Creates a plant. The same seed, ticks and commands produce the same plant. */
export function createPlant(seed: number, mood: Mood = 'calm'): Plant {
  return new SimulatedPlant(seed, mood);
}

class SimulatedPlant implements Plant {
  readonly devices: readonly string[];
  mood: Mood;
  readonly #seed: number;
  readonly #areas: readonly Area[];
  readonly #machines: ReadonlyMap<string, SimulatedMachine>;
  /** Created at the first tick, which has the time. */
  #effect: MoodEffect | undefined;
  /** Reports that the mood before has not sent. */
  #unsent: Report[] = [];
  #ticks = 0;

  constructor(seed: number, mood: Mood) {
    this.#seed = seed;
    this.mood = mood;
    this.#areas = createAreas(createRandom(seed));
    const machines = this.#areas.flatMap((area) => area.machines);
    this.#machines = new Map(machines.map((machine) => [machine.device, machine]));
    this.devices = [...this.#machines.keys(), simulatorDevice];
  }

  tick(timeMs: number, dtS: number): Report[] {
    const spanS = Math.min(Math.max(dtS, 0.001), stepSecondsMax);
    const isNewMood = this.#effect === undefined;
    this.#effect ??= this.#createEffect(timeMs);
    this.#effect.advance(timeMs, spanS);
    const reports: Report[] = [];
    for (const area of this.#areas) this.#tickArea(area, this.#effect, timeMs, spanS, reports);
    const sent = this.#effect.sent(reports, timeMs);
    sent.push(...this.#unsent);
    this.#unsent = [];
    if (isNewMood || this.#ticks % moodEveryTicks === 0) {
      sent.push({ device: simulatorDevice, time: timeMs, readings: [{ tag: 'mood', value: this.mood }] });
    }
    this.#ticks++;
    return sent;
  }

  command(device: string, command: PlantCommand): void {
    if (device === simulatorDevice) {
      this.#setMood(command);
      return;
    }
    const machine = this.#machines.get(device);
    if (machine === undefined)
      throw new TailraceError('not_found', `device: expected one of the plant, got ${shown(device)}`);
    machine.command(command);
  }

  isLinked(device: string): boolean {
    return this.#effect?.isLinked(device) ?? true;
  }

  #createEffect(startMs: number): MoodEffect {
    const areas = this.#areas.map(({ machines, shiftOffsetS }) => ({
      devices: machines.map(({ device }) => device),
      shiftOffsetS,
    }));
    return effects[this.mood]({ areas, random: createRandom(this.#seed + moods.indexOf(this.mood)), startMs });
  }

  #setMood({ name, params }: PlantCommand): void {
    if (name !== 'set') throw new TailraceError('not_found', `command: expected set, got ${shown(name)}`);
    const { mood, ...others } = params;
    const known = moods.find((each) => each === mood);
    if (known === undefined || Object.keys(others).length > 0) {
      throw new TailraceError(
        'invalid_message',
        `params: expected mood, one of ${moods.join(', ')}, got ${shown(params)}`,
      );
    }
    if (known === this.mood) return;
    this.#unsent = this.#effect?.unsent() ?? [];
    this.mood = known;
    this.#effect = undefined;
  }

  #tickArea(area: Area, effect: MoodEffect, timeMs: number, dtS: number, reports: Report[]): void {
    const { machines } = area;
    const load = shiftLoad(timeMs, area.shiftOffsetS);
    const surroundings: Surroundings = {
      load,
      ambientC: hallTemperatureC(timeMs),
      isGateOpen: machines.some((machine) => machine.hasOpenGate()),
      isRobotMoving: machines.some((machine) => machine.hasMovingRobot()),
      linePowerKw: machines.reduce((sum, machine) => sum + machine.powerKw(), 0),
      isPowered: true,
    };
    for (const machine of machines) {
      const { device, everyTicks } = machine;
      machine.step(dtS, { ...surroundings, load: effect.load(device, load) });
      if (this.#ticks % everyTicks !== 0) continue;
      const spanS = dtS * everyTicks;
      const count = effect.reportsAtOnce(device);
      for (let index = 1; index <= count; index++) {
        reports.push({
          device,
          // Spread over the time since the report before.
          time: timeMs - (1000 * spanS * (count - index)) / count,
          readings: effect.readings(device, machine.readings(spanS / count)),
        });
      }
    }
  }
}
