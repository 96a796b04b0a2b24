import type { Clock } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import { TailraceError } from '@tailrace/protocol/error';
import { assignPartitions } from '../rendezvous.ts';
import type { Store, StoredTopic } from './store.ts';

/** The interface of a member for its group: see `GroupMember`. */
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
  /** How long a member may take to release a partition; then the next owner gets it anyway, ms. Default: 10,000. */
  readonly handoverMs?: number;
}

const defaultHandoverMs = 10_000;

/**
 * A consumer group within this process: its members and their partitions.
 *
 * Every change of the members starts a rebalance: the new assignment is computed (rendezvous.ts); members release the
 * partitions that they lose (the call in progress completes, commits are written) and continue with the others; then
 * each is assigned its partitions under the new generation. Rebalances do not overlap; changes during one start
 * another.
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

  /** Adds a member. It replaces a member of the same name, whose process has restarted. */
  join(member: LocalGroupMember): void {
    const former = this.#members.get(member.name);
    if (former !== undefined && former !== member) {
      this.#owned.delete(former);
      former.abort();
      const why = `another member has joined group ${this.name} as ${member.name}`;
      former.report(new TailraceError('conflict', `${why}: every node needs its own name`));
    }
    this.#members.set(member.name, member);
    this.#change();
  }

  /** Removes a member that has released everything, or has crashed. */
  leave(member: LocalGroupMember): void {
    if (this.#members.get(member.name) !== member) return;
    this.#members.delete(member.name);
    this.#owned.delete(member);
    this.#change();
  }

  /** Adds an expelled member again, which loses all its partitions under a separate generation. */
  rejoin(member: LocalGroupMember): void {
    this.#generation++;
    this.join(member);
  }

  #change(): void {
    this.#changed = true;
    if (this.#running) return;
    this.#running = true;
    // Members that join in the same turn share one rebalance.
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
      // A full disk must not stop delivery. The generation still increases within this process.
      for (const member of this.#members.values()) member.report(thrown);
    }
    const answers = [...this.#members.values()].map((member) => {
      const partitions = target.get(member.name) ?? [];
      this.#owned.set(member, partitions);
      return member.assign(this.#generation, partitions);
    });
    await this.#withinHandover(answers);
  }

  async #release(target: ReadonlyMap<string, readonly number[]>): Promise<void> {
    const losses: { member: LocalGroupMember; lost: number[] }[] = [];
    for (const [member, owned] of this.#owned) {
      const retained = target.get(member.name) ?? [];
      const lost = owned.filter((partition) => !retained.includes(partition));
      if (lost.length > 0) losses.push({ member, lost });
    }
    await this.#withinHandover(losses.map(({ member, lost }) => member.release(lost)));
    for (const { member, lost } of losses) member.revoke(lost);
  }

  async #withinHandover(pending: readonly Promise<void>[]): Promise<void> {
    if (pending.length === 0) return;
    const { clock, handoverMs = defaultHandoverMs } = this.#context;
    await withinDeadline(clock, handoverMs, async () => void (await Promise.all(pending)));
  }
}
