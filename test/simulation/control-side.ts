import type { Bus } from '@tailrace/bus/bus';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { silentLogger } from '@tailrace/platform/logger';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Chance } from './chance.ts';
import { CommandChecker } from './command-checker.ts';
import { CommandDevice } from './command-device.ts';
import { readControlFacts } from './control-facts.ts';
import { SimulatedControl } from './control-process.ts';
import { SimulatedIngest } from './ingest-process.ts';
import { Person } from './person.ts';
import type { Skew } from './process.ts';
import { SimulatedStore, type Statement } from './store.ts';
import type { World } from './world.ts';

export interface ControlSideOptions {
  /** For the mutations: changes statements, the bus of control, and its log. */
  readonly statement?: Statement;
  readonly controlBus?: (bus: Bus) => Bus;
  readonly controlLog?: (eventLog: EventLog) => EventLog;
}

/** What has happened in a run. */
export interface ControlCounts {
  readonly submitted: number;
  readonly executed: number;
  readonly leases: number;
  /** Commands by their final state. */
  readonly states: Readonly<Record<string, number>>;
  readonly statements: number;
}

const restartMs = 500;
/** Drift of the clocks of devices: 500 ppm. */
const driftMax = 0.0005;

/** A worker, a supervisor, a supervisor with the right to one cell, and a worker with the right to the other one. */
const people = [
  { subject: 'anna', roles: [], command: ['plant.>'] },
  { subject: 'bob', roles: ['supervisor'], command: ['plant.>'] },
  { subject: 'eve', roles: ['supervisor'], command: ['plant.cell2.>'] },
  { subject: 'joe', roles: [], command: ['plant.cell1.>'] },
] as const;

/** Devices that take commands, people who send them, and what is in between: ingest nodes, control and its store. */
export class ControlSide {
  readonly world: World;
  readonly checker: CommandChecker;
  readonly devices: readonly CommandDevice[];
  readonly ingests = new Map<string, SimulatedIngest>();
  readonly controls = new Map<string, SimulatedControl>();
  people: readonly Person[] = [];
  store!: SimulatedStore;
  readonly chance: Chance;
  readonly #options: ControlSideOptions;
  #starts = 0;

  constructor(world: World, chance: Chance, options: ControlSideOptions) {
    this.world = world;
    this.chance = chance;
    this.#options = options;
    const { scheduler, violations } = world;
    this.checker = new CommandChecker(violations, () => scheduler.clock.now());
    const paths = ['plant.cell1.a', 'plant.cell1.b', 'plant.cell1.c', 'plant.cell2.d', 'plant.cell2.e'];
    this.devices = paths.map(
      (path) =>
        new CommandDevice({
          ...{ path, scheduler, chance: chance.fork(), skew: this.#skew(), checker: this.checker },
          reach: () => this.#reach(),
          note: (what) => world.note(what),
        }),
    );
  }

  get counts(): ControlCounts {
    const { counts, states } = this.checker;
    return { ...counts, states, statements: this.store.statements };
  }

  /** Called before virtual time starts. */
  async open(): Promise<void> {
    this.store = await SimulatedStore.open(this.world.scheduler, this.#options.statement ?? ((sql) => sql));
  }

  async start(): Promise<void> {
    const { scheduler, network } = this.world;
    for (const name of ['i1', 'i2']) this.startIngest(name);
    for (const name of ['k1', 'k2']) this.startControl(name);
    for (const device of this.devices) device.start();
    // Never partitioned: a person whose server is away tries another one.
    const bus = network.createBus({ node: 'people', logger: silentLogger });
    await bus.start();
    this.people = people.map((person) => {
      const { subject, roles, command } = person;
      const claims = { subject, roles, command, publish: [], subscribe: ['plant.>'] };
      return new Person({
        ...{ ...claims, bus, checker: this.checker, scheduler, chance: this.chance.fork() },
        client: this.world.createClient(`c-${subject}`, claims.subscribe, this.chance.fork(), JSON.stringify(claims)),
        note: (what) => this.world.note(what),
      });
    });
  }

  startIngest(name: string): void {
    const { world } = this;
    const { scheduler, network, log } = world;
    world.note(`${name} starts`);
    const ingest = new SimulatedIngest({
      ...{ name, scheduler, network, log, chance: this.chance.fork(), seam: (bus: Bus) => bus },
      logFault: () => world.logFault,
      onError: (what, thrown) => world.error(what, thrown),
    });
    this.ingests.set(name, ingest);
    ingest.start().catch((thrown: unknown) => {
      if (ingest.process.state === 'dead') return;
      if (tailraceErrorFrom(thrown).code !== 'unavailable') world.error(`${name} did not start`, thrown);
      this.crashIngest(ingest, true);
      scheduler.at(restartMs, () => this.startIngest(name));
    });
  }

  crashIngest(ingest: SimulatedIngest, sendsReset: boolean): void {
    this.world.note(`${ingest.name} dies${sendsReset ? '' : ' with its machine'}`);
    ingest.crash(sendsReset);
    if (this.ingests.get(ingest.name) === ingest) this.ingests.delete(ingest.name);
  }

  startControl(name: string): void {
    const { world, store } = this;
    const { scheduler, network, log } = world;
    const { controlBus = (bus: Bus) => bus, controlLog = (eventLog: EventLog) => eventLog } = this.#options;
    world.note(`${name} starts`);
    const control = new SimulatedControl({
      ...{ name, startNumber: ++this.#starts, scheduler, network, log, store, chance: this.chance.fork() },
      ...{ seam: controlBus, logSeam: controlLog },
      logFault: () => world.logFault,
      onError: (what, thrown) => world.error(what, thrown),
    });
    this.controls.set(name, control);
    control.start().catch((thrown: unknown) => {
      if (control.process.state === 'dead') return;
      // As after any error of its start, the supervisor starts it again.
      if (!tailraceErrorFrom(thrown).retryable) world.error(`${name} did not start`, thrown);
      this.crashControl(control);
      scheduler.at(restartMs, () => this.startControl(name));
    });
  }

  crashControl(control: SimulatedControl): void {
    this.world.note(`${control.name} dies`);
    control.crash();
    if (this.controls.get(control.name) === control) this.controls.delete(control.name);
  }

  setStoreUnavailable(isUnavailable: boolean): void {
    this.world.note(isUnavailable ? 'the store is unavailable' : 'the store is available again');
    this.store.setUnavailable(isUnavailable);
  }

  /** Waits until nothing is in progress, and checks I8. */
  async end(run: (ms: number) => Promise<void>): Promise<void> {
    for (let ms = 0; ms < settleMsMax; ms += settleStepMs) {
      await run(settleStepMs);
      const { open, unpublished } = await this.store.inspect(async (database) => {
        const { rows } = await database.query<{ open: number; unpublished: number }>(
          'SELECT (SELECT count(*) FROM commands WHERE NOT is_final) AS open, (SELECT count(*) FROM outbox) AS unpublished',
        );
        return rows[0]!;
      }, run);
      if (open === 0 && unpublished === 0) break;
    }
    this.checker.end(await readControlFacts(this, run));
  }

  #reach(): SimulatedIngest | undefined {
    const serving = [...this.ingests.values()].filter((ingest) => ingest.isServing);
    return serving.length === 0 ? undefined : this.chance.pick(serving);
  }

  #skew(): Skew {
    if (!this.chance.happens(0.5)) return { offsetMs: 0, rate: 1 };
    return { offsetMs: this.chance.between(-60_000, 60_000), rate: this.chance.between(1 - driftMax, 1 + driftMax) };
  }
}

/** A command without an outcome is checked ever more rarely, up to its deadline; then `unconfirmed` waits for 10 s. */
const settleMsMax = 200_000;
const settleStepMs = 2_000;
