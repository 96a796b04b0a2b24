import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import type { Commit } from '../group-ports.ts';
import { assignmentsFor, generationOf, protocolName, readAssignment, subscriptionBytes } from './assigner.ts';
import type { KafkaClient } from './client.ts';
import { kafkajsTypeOf } from './errors.ts';
import type { KafkaBroker } from './wire.ts';

export interface KafkaMembershipOptions {
  readonly group: string;
  readonly member: string;
  readonly topics: readonly string[];
  /** Number of partitions of each topic. */
  readonly partitions: number;
  /** The group expels the member after this time without a heartbeat. */
  readonly sessionTimeoutMs: number;
  /** How long the group waits for its members to rejoin. */
  readonly rebalanceTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface JoinResult {
  readonly generation: number;
  readonly partitions: readonly number[];
  /** Whether another process has joined under the name: this member has no partitions while that one is alive. */
  readonly replaced: boolean;
}

/**
 * `alive`: the generation continues. `rebalancing`: the members must rejoin. `fenced`: the group has expelled this
 * member, whose partitions may be assigned to others.
 */
export type MemberHealth = 'alive' | 'rebalancing' | 'fenced';

/** The lowest session timeout that every broker allows by default (`group.min.session.timeout.ms`). */
const commonSessionTimeoutMs = 6000;

/** The requests of one member to the coordinator of its group. Independent of records. */
export class KafkaMembership {
  readonly #options: KafkaMembershipOptions;
  readonly #startedMs: number;
  #client: KafkaClient;
  #coordinator: KafkaBroker | undefined;
  #memberId = '';
  #kafkaGeneration = -1;
  #generationBase: number | undefined;
  #sessionTimeoutMs: number;
  #isJoining = false;

  constructor(client: KafkaClient, options: KafkaMembershipOptions) {
    this.#client = client;
    this.#options = options;
    this.#startedMs = Math.floor(options.clock.now());
    this.#sessionTimeoutMs = options.sessionTimeoutMs;
  }

  /** Continues with another client, as the same member. */
  moveTo(client: KafkaClient): void {
    this.#client = client;
    this.#coordinator = undefined;
  }

  /** Joins or rejoins the group, when all its members do. One attempt: a retriable error is thrown. */
  async join(): Promise<JoinResult> {
    this.#isJoining = true;
    try {
      return await this.#join();
    } finally {
      this.#isJoining = false;
    }
  }

  async #join(): Promise<JoinResult> {
    const { group, rebalanceTimeoutMs, topics, clock, partitions, logger } = this.#options;
    const coordinator = await this.#findCoordinator();
    try {
      const joined = await coordinator.joinGroup({
        groupId: group,
        sessionTimeout: this.#sessionTimeoutMs,
        rebalanceTimeout: rebalanceTimeoutMs,
        memberId: this.#memberId,
        groupProtocols: [{ name: protocolName, metadata: this.#subscription() }],
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
      this.#dropCoordinator(thrown);
      const type = kafkajsTypeOf(thrown);
      if (type === 'UNKNOWN_MEMBER_ID') this.#memberId = '';
      if (type === 'INVALID_SESSION_TIMEOUT' && this.#sessionTimeoutMs < commonSessionTimeoutMs) {
        const facts = { group, requestedMs: this.#sessionTimeoutMs, sessionTimeoutMs: commonSessionTimeoutMs };
        this.#sessionTimeoutMs = commonSessionTimeoutMs;
        logger.warn(
          facts,
          'the broker does not allow the requested session timeout; the group will detect a dead node later. Lower group.min.session.timeout.ms of the broker',
        );
        return await this.#join();
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
      this.#dropCoordinator(thrown);
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

  /** Commits positions. Rejects during a rebalance, and for an expelled member. */
  async commit(commits: readonly Commit[]): Promise<void> {
    if (this.#memberId === '') throw new TailraceError('unavailable', 'not a member of the group');
    // The broker would accept it in the generation that is being formed, also for partitions of other members.
    if (this.#isJoining) throw new TailraceError('unavailable', 'cannot commit: the group is rebalancing');
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
      this.#dropCoordinator(thrown);
      throw thrown;
    }
  }

  /** Resolves with the committed positions of the group, by topic, then partition. */
  async committed(partitions: readonly number[]): Promise<Map<string, Map<number, number>>> {
    const { group, topics } = this.#options;
    try {
      return await fetchCommitted(await this.#findCoordinator(), group, topics, partitions);
    } catch (thrown) {
      this.#dropCoordinator(thrown);
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

  #subscription(): Buffer {
    const { topics, member } = this.#options;
    const base = this.#generationBase;
    const facts = { member, startedMs: this.#startedMs, ...(base === undefined ? {} : { generationBase: base }) };
    return subscriptionBytes(topics, facts);
  }

  async #findCoordinator(): Promise<KafkaBroker> {
    this.#coordinator ??= await this.#client.coordinator(this.#options.group);
    return this.#coordinator;
  }

  /** Drops the coordinator after an error, unless it has answered as the coordinator. */
  #dropCoordinator(thrown: unknown): void {
    const type = kafkajsTypeOf(thrown);
    if (type === undefined || /COORDINATOR/.test(type)) this.#coordinator = undefined;
  }
}

/**
 * Resolves with the committed positions of a group, by topic, then partition; none for partitions without a commit.
 * `partitions` may have holes, as the list of partitions whose brokers answer.
 */
export async function fetchCommitted(
  coordinator: KafkaBroker,
  groupId: string,
  topics: readonly string[],
  partitions: readonly number[],
): Promise<Map<string, Map<number, number>>> {
  // `flatMap` leaves out the holes, which the encoder of kafkajs counts and does not write.
  const numbers = partitions.flatMap((partition) => [{ partition }]);
  const asked = topics.map((topic) => ({ topic, partitions: numbers }));
  const { responses } = await coordinator.offsetFetch({ groupId, topics: asked });
  return new Map(
    responses.map(({ topic, partitions: found }) => [
      topic,
      new Map(found.map(({ partition, offset }) => [partition, Number(offset)] as const).filter(([, seq]) => seq >= 0)),
    ]),
  );
}
