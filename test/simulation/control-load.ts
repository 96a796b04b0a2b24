import type { Chance } from './chance.ts';
import type { ControlSide } from './control-side.ts';
import type { CommandPlan, LeaseActionName, Person } from './person.ts';

/** Share of commands that go over the stream of the client library; the others go over the bus. */
const overStream = 0.4;
/** Deadlines from the request, ms: mostly short, and some that outlive an absence of the device and a lease. */
const shortMs = { min: 300, max: 12_000 };
const longMs = { min: 25_000, max: 50_000 };
const long = 0.25;
const leaseMs = { min: 1_000, max: 40_000 };
/** Scopes of leases. */
const scopes = ['plant.cell1.>', 'plant.cell2.>', 'plant.cell1.a', 'plant.cell2.d'];

/** What people do: commands, repetitions, cancellations and leases. */
export class ControlLoad {
  readonly #side: ControlSide;
  readonly #chance: Chance;
  readonly #everyMs: number;
  #keys = 0;
  #isRunning = false;

  constructor(side: ControlSide) {
    this.#side = side;
    this.#chance = side.chance.fork();
    this.#everyMs = this.#chance.between(200, 900);
  }

  start(): void {
    this.#isRunning = true;
    this.#next();
  }

  stop(): void {
    this.#isRunning = false;
  }

  #next(): void {
    const { scheduler } = this.#side.world;
    scheduler.at(this.#chance.between(0, 2 * this.#everyMs), () => {
      if (!this.#isRunning) return;
      this.#act(this.#chance.pick(this.#side.people)).catch((thrown: unknown) =>
        this.#side.world.error('the load of commands has failed', thrown),
      );
      this.#next();
    });
  }

  async #act(person: Person): Promise<void> {
    const chance = this.#chance;
    const kind = chance.random();
    if (kind < 0.14)
      await person.lease(chance.pick(scopes), this.#leaseAction(person), chance.between(leaseMs.min, leaseMs.max));
    else if (kind < 0.2 && person.sent.length > 0) await person.cancel(chance.pick(person.sent.slice(-5)).id);
    else if (kind < 0.27 && person.sent.length > 0) await person.repeat(chance.pick(person.sent.slice(-5)).plan);
    else await person.command(this.#plan(person));
  }

  #leaseAction(person: Person): LeaseActionName {
    if (this.#chance.happens(0.3)) return 'take_over';
    return person.leases.size > 0 && this.#chance.happens(0.4) ? this.#chance.pick(['renew', 'release']) : 'acquire';
  }

  #plan(person: Person): CommandPlan {
    const chance = this.#chance;
    const { min, max } = chance.happens(long) ? longMs : shortMs;
    const isOverStream = chance.happens(overStream);
    return {
      key: `${person.subject}-${++this.#keys}`,
      device: chance.pick(this.#side.devices).path,
      qos: chance.happens(0.1) ? 0 : 1,
      deadline: Math.floor(this.#side.world.scheduler.clock.now() + chance.between(min, max)),
      replaces: !isOverStream && chance.happens(0.1),
      isOverStream,
    };
  }
}
