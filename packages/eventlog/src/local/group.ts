import type { Clock, Timer } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import { assignPartitions } from '../rendezvous.ts';
import type { Store, StoredTopic } from './store.ts';

/** A member as its group sees it: see `GroupMember`. */
export interface LocalGroupMember {
  readonly name: string;
  assign(generation: number, partitions: readonly number[]): Promise<void>;
  release(partitions: readonly number[]): Promise<void>;
  revoke(partitions: readonly number[]): void;
  abort(): void;
  report(thrown: unknown): void;
}

export interface GroupContext {
  readonly store: Store;
  readonly clock: Clock;
  schedule(call: () => void): void;
  /**
   * How long a member may take to release a partition before its next owner gets it all the same, ms. Default 10,000.
   */
  readonly handoverMs?: number;
}

const defaultHandoverMs = 10_000;

/**
 * A consumer group inside this process: which members it has, and which partitions each of them has.
 *
 * Every change of the members leads to a rebalance: the new assignment is computed (rendezvous.ts); members release
 * what they lose (the call that runs ends, commits are written) and go on with what they keep; then each is assigned
 * its partitions under the new generation. Rebalances do not overlap; changes during one lead to one more.
 */
export class Group {
  readonly name: string;
  readonly topics: readonly StoredTopic[];
  readonly #context: GroupContext;
  readonly #members = new Map<string, LocalGroupMember>();
  readonly #owned = new Map<LocalGroupMember, readonly number[]>();
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

  /** Replaces a member of the same name: the new one is its restart. */
  join(member: LocalGroupMember): void {
    const former = this.#members.get(member.name);
    if (former !== undefined && former !== member) {
      this.#owned.delete(former);
      former.abort();
      const why = `another member joined group ${this.name} as ${member.name}`;
      former.report(new TailraceError('conflict', `${why}: give every node a name of its own`));
    }
    this.#members.set(member.name, member);
    this.#change();
  }

  /** The member has released everything, or is dead. */
  leave(member: LocalGroupMember): void {
    if (this.#members.get(member.name) !== member) return;
    this.#members.delete(member.name);
    this.#owned.delete(member);
    this.#change();
  }

  /** The member that was expelled by `leave` is back. It loses everything under a generation of its own. */
  rejoin(member: LocalGroupMember): void {
    this.#generation++;
    this.join(member);
  }

  #change(): void {
    this.#changed = true;
    if (this.#running) return;
    this.#running = true;
    // Members that join at once get one rebalance.
    this.#context.schedule(() => void this.#rebalances());
  }

  async #rebalances(): Promise<void> {
    while (this.#changed) {
      this.#changed = false;
      if (this.#members.size > 0) await this.#rebalance();
    }
    this.#running = false;
  }

  async #rebalance(): Promise<void> {
    const target = assignPartitions([...this.#members.keys()], this.topics[0]!.partitions.length);
    await this.#release(target);
    if (this.#changed) return;
    this.#generation++;
    try {
      await this.#context.store.saveGeneration(this.name, this.#generation);
    } catch (thrown) {
      // A full disk must not keep the records from being delivered. The generation still grows within this process.
      for (const member of this.#members.values()) member.report(thrown);
    }
    const answers = [...this.#members.values()].map((member) => {
      const partitions = target.get(member.name) ?? [];
      this.#owned.set(member, partitions);
      return member.assign(this.#generation, partitions);
    });
    await this.#atMost(answers);
  }

  async #release(target: ReadonlyMap<string, readonly number[]>): Promise<void> {
    const losses: { member: LocalGroupMember; lost: number[] }[] = [];
    for (const [member, owned] of this.#owned) {
      const staying = target.get(member.name) ?? [];
      const lost = owned.filter((partition) => !staying.includes(partition));
      if (lost.length > 0) losses.push({ member, lost });
    }
    await this.#atMost(losses.map(({ member, lost }) => member.release(lost)));
    for (const { member, lost } of losses) member.revoke(lost);
  }

  async #atMost(pending: readonly Promise<void>[]): Promise<void> {
    if (pending.length === 0) return;
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = this.#context.clock.after(this.#context.handoverMs ?? defaultHandoverMs, resolve);
    });
    await Promise.race([Promise.all(pending), late]);
    timer?.cancel();
  }
}
