import type { Chance } from './chance.ts';
import type { ControlSide } from './control-side.ts';

/** Faults of control, its store, ingest and the devices that take commands. Each seed has some of them. */
const kinds = [
  'a process of control dies',
  'a process of control is suspended',
  'a process of control is restarted',
  'a process of control is partitioned from the bus',
  'a process of control is partitioned from the store',
  'the store is unavailable',
  'an ingest node dies',
  'an ingest node is suspended',
  'an ingest node is restarted',
  'an ingest node is partitioned from the bus',
  'a device disconnects',
  'a device loses its network',
  'a stream of a person breaks',
] as const;
type ControlFault = (typeof kinds)[number];

/** Injects faults at random, until `end`. */
export class ControlFaults {
  readonly #side: ControlSide;
  readonly #chance: Chance;
  readonly #kinds: readonly ControlFault[];
  readonly #everyMs: number;
  readonly #active = new Set<() => void>();
  /** Processes with an active fault: they get no other. */
  readonly #busy = new Set<string>();
  #isRunning = true;

  constructor(side: ControlSide) {
    this.#side = side;
    this.#chance = side.chance.fork();
    const share = this.#chance.between(0.3, 1);
    this.#kinds = kinds.filter(() => this.#chance.happens(share));
    this.#everyMs = this.#chance.between(400, 3_000);
    side.world.note(`faults of control every ${Math.round(this.#everyMs)} ms: ${this.#kinds.join(', ')}`);
  }

  start(): void {
    this.#side.world.scheduler.at(this.#chance.between(0, 2 * this.#everyMs), () => {
      if (!this.#isRunning) return;
      if (this.#kinds.length > 0) this.#inject(this.#chance.pick(this.#kinds));
      this.start();
    });
  }

  end(): void {
    this.#isRunning = false;
    for (const stop of [...this.#active]) stop();
  }

  /** Calls `stop` after a while, or when all faults stop. */
  #lasting(minMs: number, maxMs: number, stop: () => void): void {
    let isStopped = false;
    const once = () => {
      if (isStopped) return;
      isStopped = true;
      this.#active.delete(once);
      stop();
    };
    this.#active.add(once);
    this.#side.world.scheduler.at(this.#chance.between(minMs, maxMs), once);
  }

  #inject(kind: ControlFault): void {
    const side = this.#side;
    if (kind === 'the store is unavailable') {
      if (side.store.isUnavailable) return;
      side.setStoreUnavailable(true);
      this.#lasting(50, this.#chance.happens(0.1) ? 20_000 : 3_000, () => side.setStoreUnavailable(false));
    } else if (kind.startsWith('a process of control')) this.#controlFault(kind);
    else if (kind.startsWith('an ingest node')) this.#ingestFault(kind);
    else this.#deviceFault(kind);
  }

  #free<T extends { readonly name: string }>(all: Iterable<T>, isFree: (each: T) => boolean): T | undefined {
    const free = [...all].filter((each) => !this.#busy.has(each.name) && isFree(each));
    if (free.length === 0) return undefined;
    const chosen = this.#chance.pick(free);
    this.#busy.add(chosen.name);
    return chosen;
  }

  #controlFault(kind: ControlFault): void {
    const side = this.#side;
    const { world } = side;
    const control = this.#free(side.controls.values(), ({ process }) => process.state === 'running');
    if (control === undefined) return;
    const { name } = control;
    const free = () => void this.#busy.delete(name);
    world.note(`${name}: ${kind}`);
    if (kind === 'a process of control is suspended') {
      control.pause();
      // Sometimes for longer than another process waits for it.
      this.#lasting(100, this.#chance.happens(0.2) ? 13_000 : 4_000, () => {
        world.note(`${name} is resumed`);
        control.resume();
        free();
      });
    } else if (kind === 'a process of control is partitioned from the bus') {
      world.network.partition(name);
      this.#lasting(200, 5_000, () => {
        world.network.heal(name);
        free();
      });
    } else if (kind === 'a process of control is partitioned from the store') {
      control.isolateFromStore();
      this.#lasting(100, 5_000, () => {
        control.healStore();
        free();
      });
    } else if (kind === 'a process of control is restarted' && control.isReady) {
      this.#restart(
        () => control.stop(),
        () => {
          if (side.controls.get(name) === control) side.controls.delete(name);
        },
        () => side.startControl(name),
        free,
      );
    } else {
      side.crashControl(control);
      this.#lasting(50, 6_000, () => {
        side.startControl(name);
        free();
      });
    }
  }

  #ingestFault(kind: ControlFault): void {
    const side = this.#side;
    const { world } = side;
    const ingest = this.#free(
      side.ingests.values(),
      ({ isServing, process }) => isServing && process.state === 'running',
    );
    if (ingest === undefined) return;
    const { name } = ingest;
    const free = () => void this.#busy.delete(name);
    world.note(`${name}: ${kind}`);
    if (kind === 'an ingest node is suspended') {
      ingest.pause();
      this.#lasting(100, 6_000, () => {
        world.note(`${name} is resumed`);
        ingest.resume();
        free();
      });
    } else if (kind === 'an ingest node is partitioned from the bus') {
      world.network.partition(name);
      this.#lasting(200, 6_000, () => {
        world.network.heal(name);
        free();
      });
    } else if (kind === 'an ingest node is restarted') {
      this.#restart(
        () => ingest.stop(),
        () => {
          if (side.ingests.get(name) === ingest) side.ingests.delete(name);
        },
        () => side.startIngest(name),
        free,
      );
    } else {
      side.crashIngest(ingest, this.#chance.happens(0.6));
      this.#lasting(50, 5_000, () => {
        side.startIngest(name);
        free();
      });
    }
  }

  #restart(stop: () => Promise<void>, forget: () => void, start: () => void, free: () => void): void {
    void stop().then(() => {
      forget();
      this.#side.world.scheduler.at(this.#chance.between(10, 800), () => {
        start();
        free();
      });
    });
  }

  #deviceFault(kind: ControlFault): void {
    const { devices, people, world } = this.#side;
    if (kind === 'a stream of a person breaks') {
      const { client } = this.#chance.pick(people);
      world.note(`the connection of ${client.name} breaks`);
      client.connection?.close();
      return;
    }
    const device = this.#chance.pick(devices);
    world.note(`${device.path}: ${kind}`);
    if (kind === 'a device disconnects') device.disconnect();
    if (device.link.isDown) return;
    device.link.isDown = true;
    this.#lasting(50, this.#chance.happens(0.3) ? 20_000 : 3_000, () => {
      device.link.isDown = false;
    });
  }
}
