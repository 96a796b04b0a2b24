import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import type { Commit } from '../group-ports.ts';
import { assignmentsFor, generationOf, protocolName, readAssignment, subscriptionBytes } from './assigner.ts';
import { kafkajsTypeOf } from './errors.ts';
import type { KafkaLink } from './link.ts';
import type { KafkaBroker } from './wire.ts';

export interface KafkaMembershipOptions {
  readonly group: string;
  readonly member: string;
  readonly topics: readonly string[];
  /** Of each of the topics. */
  readonly partitions: number;
  /** Without a heartbeat for so long the group goes on without the member. */
  readonly sessionTimeoutMs: number;
  /** How long the group waits for its members to join again. */
  readonly rebalanceTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Joined {
  readonly generation: number;
  readonly partitions: readonly number[];
  /** Another process has taken the name; this member has nothing while that one lives. */
  readonly replaced: boolean;
}

/**
 * `alive`: the generation goes on. `rebalancing`: the group wants its members to join again. `fenced`: the group has
 * gone on without this member; what it had may be others' already.
 */
export type MemberHealth = 'alive' | 'rebalancing' | 'fenced';

/** The lowest session timeout that every broker allows by default (`group.min.session.timeout.ms`). */
const commonSessionTimeoutMs = 6000;

/** The requests of one member to the coordinator of its group. Knows nothing of records. */
export class KafkaMembership {
  readonly #options: KafkaMembershipOptions;
  readonly #startedMs: number;
  #link: KafkaLink;
  #coordinator: KafkaBroker | undefined;
  #memberId = '';
  #kafkaGeneration = -1;
  #generationBase: number | undefined;
  #sessionTimeoutMs: number;

  constructor(link: KafkaLink, options: KafkaMembershipOptions) {
    this.#link = link;
    this.#options = options;
    this.#startedMs = Math.floor(options.clock.now());
    this.#sessionTimeoutMs = options.sessionTimeoutMs;
  }

  /** Goes on over other connections, as the same member. */
  moveTo(link: KafkaLink): void {
    this.#link = link;
    this.#coordinator = undefined;
  }

  /** Joins, or joins again; waits for the whole group to do so. One attempt: throws where another may help. */
  async join(): Promise<Joined> {
    const { group, rebalanceTimeoutMs, topics, clock, partitions, logger } = this.#options;
    const coordinator = await this.#findCoordinator();
    try {
      const joined = await coordinator.joinGroup({
        groupId: group,
        sessionTimeout: this.#sessionTimeoutMs,
        rebalanceTimeout: rebalanceTimeoutMs,
        memberId: this.#memberId,
        groupProtocols: [{ name: protocolName, metadata: this.#facts() }],
      });
      this.#memberId = joined.memberId;
      this.#kafkaGeneration = joined.generationId;
      const isLeader = joined.leaderId === joined.memberId;
      const { memberAssignment } = await coordinator.syncGroup({
        groupId: group,
        generationId: joined.generationId,
        memberId: joined.memberId,
        groupAssignment: isLeader ? assignmentsFor(joined.members, topics, partitions, clock.now()) : [],
      });
      const assigned = readAssignment(memberAssignment);
      this.#generationBase = assigned.generationBase;
      const generation = generationOf(assigned.generationBase, joined.generationId);
      return { generation, partitions: assigned.partitions, replaced: assigned.replaced };
    } catch (thrown) {
      this.#forgetCoordinator(thrown);
      const type = kafkajsTypeOf(thrown);
      if (type === 'UNKNOWN_MEMBER_ID') this.#memberId = '';
      if (type === 'INVALID_SESSION_TIMEOUT' && this.#sessionTimeoutMs < commonSessionTimeoutMs) {
        const facts = { group, askedMs: this.#sessionTimeoutMs, sessionTimeoutMs: commonSessionTimeoutMs };
        this.#sessionTimeoutMs = commonSessionTimeoutMs;
        logger.warn(
          facts,
          'the broker does not allow the session timeout asked for; the group will notice a dead node later. Lower group.min.session.timeout.ms of the broker',
        );
        return await this.join();
      }
      throw thrown;
    }
  }

  async heartbeat(): Promise<MemberHealth> {
    try {
      const coordinator = await this.#findCoordinator();
      await coordinator.heartbeat(this.#self());
      return 'alive';
    } catch (thrown) {
      this.#forgetCoordinator(thrown);
      const type = kafkajsTypeOf(thrown);
      if (type === 'REBALANCE_IN_PROGRESS') return 'rebalancing';
      if (type === 'ILLEGAL_GENERATION') return 'fenced';
      if (type === 'UNKNOWN_MEMBER_ID') {
        this.#memberId = '';
        return 'fenced';
      }
      throw thrown;
    }
  }

  /** Refused while the group is between two generations, and of a member that it does not know any more. */
  async commit(commits: readonly Commit[]): Promise<void> {
    if (this.#memberId === '') throw new TailraceError('unavailable', 'not a member of the group at present');
    const topics = this.#options.topics.map((topic) => ({
      topic,
      partitions: commits
        .filter((commit) => commit.topic === topic)
        .map(({ partition, next }) => ({ partition, offset: String(next) })),
    }));
    const coordinator = await this.#findCoordinator();
    try {
      await coordinator.offsetCommit({
        ...this.#self(),
        topics: topics.filter(({ partitions }) => partitions.length > 0),
      });
    } catch (thrown) {
      this.#forgetCoordinator(thrown);
      throw thrown;
    }
  }

  /** What the group committed, by topic, then partition. */
  async committed(partitions: readonly number[]): Promise<Map<string, Map<number, number>>> {
    const { group, topics } = this.#options;
    try {
      return await fetchCommitted(await this.#findCoordinator(), group, topics, partitions);
    } catch (thrown) {
      this.#forgetCoordinator(thrown);
      throw thrown;
    }
  }

  async leave(): Promise<void> {
    if (this.#memberId === '') return;
    const coordinator = await this.#findCoordinator();
    await coordinator.leaveGroup({ groupId: this.#options.group, memberId: this.#memberId });
    this.#memberId = '';
  }

  #self(): { groupId: string; groupGenerationId: number; memberId: string } {
    return { groupId: this.#options.group, groupGenerationId: this.#kafkaGeneration, memberId: this.#memberId };
  }

  #facts(): Buffer {
    const { topics, member } = this.#options;
    const base = this.#generationBase;
    const facts = { member, startedMs: this.#startedMs, ...(base === undefined ? {} : { generationBase: base }) };
    return subscriptionBytes(topics, facts);
  }

  async #findCoordinator(): Promise<KafkaBroker> {
    this.#coordinator ??= await this.#link.coordinator(this.#options.group);
    return this.#coordinator;
  }

  /** The next request finds the coordinator again, unless the present one has answered as such. */
  #forgetCoordinator(thrown: unknown): void {
    const type = kafkajsTypeOf(thrown);
    if (type === undefined || /COORDINATOR/.test(type)) this.#coordinator = undefined;
  }
}

/** What a group committed of these partitions, by topic, then partition; nothing where it never did. */
export async function fetchCommitted(
  coordinator: KafkaBroker,
  groupId: string,
  topics: readonly string[],
  partitions: readonly number[],
): Promise<Map<string, Map<number, number>>> {
  const asked = topics.map((topic) => ({ topic, partitions: partitions.map((partition) => ({ partition })) }));
  const { responses } = await coordinator.offsetFetch({ groupId, topics: asked });
  return new Map(
    responses.map(({ topic, partitions: found }) => [
      topic,
      new Map(found.map(({ partition, offset }) => [partition, Number(offset)] as const).filter(([, seq]) => seq >= 0)),
    ]),
  );
}
