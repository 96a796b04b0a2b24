import type { Clock, Timer } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import { assignPartitions } from '../rendezvous.ts';
import type { Delivery } from './delivery.ts';
import type { Store, StoredTopic } from './store.ts';

export interface GroupContext {
  readonly store: Store;
  readonly clock: Clock;
  schedule(call: () => void): void;
  /** How long a member may take to let go of a partition before it is given to its heir all the same. */
  readonly handoverMs: number;
}

/**
 * A consumer group inside this process: who its members are, and which partitions each has.
 *
 * Every change of the members leads to a round: the new assignment is worked out (rendezvous.ts); members let go of what they lose,
 * in order (the call under way ends, commits are written), while they go on with what they keep; then all are told the new
 * generation, those that gain say where to start. Rounds follow each other, never overlap; changes during a round lead to one more.
 */
export class Group {
  readonly name: string;
  readonly topics: readonly StoredTopic[];
  readonly #context: GroupContext;
  readonly #members = new Map<string, Delivery>();
  readonly #owned = new Map<Delivery, readonly number[]>();
  #generation: number;
  #running = false;
  #changed = false;

  constructor(context: GroupContext, name: string, topics: readonly StoredTopic[]) {
    this.name = name;
    this.topics = topics;
    this.#context = context;
    this.#generation = context.store.generation(name);
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  /** A member of the same name is replaced: the new one is its restart, the old one a ghost. */
  join(delivery: Delivery): void {
    const ghost = this.#members.get(delivery.member);
    if (ghost !== undefined && ghost !== delivery) {
      this.#owned.delete(ghost);
      ghost.kill();
      const why = `another member joined group ${this.name} as ${delivery.member}`;
      ghost.report(new TailraceError('conflict', `${why}: give every node a name of its own`));
    }
    this.#members.set(delivery.member, delivery);
    this.#change();
  }

  /** The member has let go of everything, or is dead. */
  leave(delivery: Delivery): void {
    if (this.#members.get(delivery.member) !== delivery) return;
    this.#members.delete(delivery.member);
    this.#owned.delete(delivery);
    this.#change();
  }

  /** The member that `leave` took away is back. It is told that it lost everything under a generation of its own. */
  rejoin(delivery: Delivery): void {
    this.#generation++;
    this.join(delivery);
  }

  #change(): void {
    this.#changed = true;
    if (this.#running) return;
    this.#running = true;
    // Members that join in one go get one round.
    this.#context.schedule(() => void this.#rounds());
  }

  async #rounds(): Promise<void> {
    while (this.#changed) {
      this.#changed = false;
      if (this.#members.size > 0) await this.#round();
    }
    this.#running = false;
  }

  async #round(): Promise<void> {
    const target = assignPartitions([...this.#members.keys()], this.topics[0]!.partitions.length);
    await this.#letGo(target);
    if (this.#changed) return;
    this.#generation++;
    try {
      await this.#context.store.saveGeneration(this.name, this.#generation);
    } catch (thrown) {
      // A full disk must not keep the records from being delivered. The generation still grows within this process.
      for (const delivery of this.#members.values()) delivery.report(thrown);
    }
    const told = [...this.#members.values()].map((delivery) => {
      const partitions = target.get(delivery.member) ?? [];
      this.#owned.set(delivery, partitions);
      return delivery.assign(this.#generation, partitions);
    });
    await this.#atMost(told);
  }

  async #letGo(target: ReadonlyMap<string, readonly number[]>): Promise<void> {
    const losses: { delivery: Delivery; lost: number[] }[] = [];
    for (const [delivery, owned] of this.#owned) {
      const staying = target.get(delivery.member) ?? [];
      const lost = owned.filter((partition) => !staying.includes(partition));
      if (lost.length > 0) losses.push({ delivery, lost });
    }
    await this.#atMost(losses.map(({ delivery, lost }) => delivery.release(lost)));
    for (const { delivery, lost } of losses) delivery.seize(lost);
  }

  async #atMost(pending: readonly Promise<void>[]): Promise<void> {
    if (pending.length === 0) return;
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = this.#context.clock.after(this.#context.handoverMs, resolve);
    });
    await Promise.race([Promise.all(pending), late]);
    timer?.cancel();
  }
}
