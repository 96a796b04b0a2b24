/**
 * Which member gets which partitions in a consumer group on Kafka, and the bytes in which members send it (the
 * "consumer" embedded protocol, https://kafka.apache.org/protocol.html, ConsumerProtocolSubscription and -Assignment,
 * version 0). Kafka's own tools read it.
 *
 * Each member sends its stable name in the user data, so that any leader assigns by rendezvous hashing over names.
 */

import { assignPartitions } from '../rendezvous.ts';
import { KafkaReader, KafkaWriter } from './bytes.ts';

/** The name of the assignor, the same for all members of a group. */
export const protocolName = 'tailrace-rendezvous';

/** What a member sends to the leader. */
export interface MemberFacts {
  /** Stable name. */
  readonly member: string;
  /** Since when this process is a member, epoch ms. Of two with one name, the later has come in place of the other. */
  readonly startedMs: number;
  /** See `generationOf`; undefined where the member has not had an assignment yet. */
  readonly generationBase?: number;
}

/** What the leader sends to a member. */
export interface AssignedFacts {
  readonly generationBase: number;
  /** Another process has joined under its name since: it gets nothing. */
  readonly replaced: boolean;
}

export interface JoinedMember {
  readonly memberId: string;
  readonly memberMetadata: Buffer;
}

/**
 * The generation that subscribers see. Kafka counts the generations of a group, but starts again at 1 when it has
 * forgotten a group that was empty for long. Therefore the first leader sets a base, the seconds since 1970, which
 * members carry on from generation to generation while there are any. It grows over everything but a group that is
 * rebalanced more than once a second for its whole life, then forgotten.
 */
export function generationOf(base: number, kafkaGeneration: number): number {
  return base + kafkaGeneration;
}

export function subscriptionBytes(topics: readonly string[], facts: MemberFacts): Buffer {
  const out = new KafkaWriter();
  out.int16(0);
  out.int32(topics.length);
  for (const topic of topics) out.string(topic);
  out.bytes(Buffer.from(JSON.stringify(facts)));
  return out.buffer;
}

/** A member that is not ours goes by its ID. */
function factsOf({ memberId, memberMetadata }: JoinedMember): MemberFacts {
  try {
    const body = new KafkaReader(memberMetadata);
    body.skip(2);
    for (let topics = body.int32(); topics > 0; topics--) body.string();
    const facts = JSON.parse(body.text(body.int32())) as Partial<MemberFacts>;
    if (typeof facts.member === 'string' && typeof facts.startedMs === 'number') return facts as MemberFacts;
  } catch {}
  return { member: memberId, startedMs: 0 };
}

/** The leader's work: an assignment for each member, of the same partitions of all topics. */
export function assignmentsFor(
  joined: readonly JoinedMember[],
  topics: readonly string[],
  partitions: number,
  nowMs: number,
): { memberId: string; memberAssignment: Buffer }[] {
  const members = joined.map((member) => ({ memberId: member.memberId, ...factsOf(member) }));
  const newest = new Map<string, { memberId: string; startedMs: number }>();
  let generationBase = 0;
  for (const member of members) {
    const known = newest.get(member.member);
    const isNewer = known === undefined || member.startedMs > known.startedMs;
    const isTie = known?.startedMs === member.startedMs && member.memberId > known.memberId;
    if (isNewer || isTie) newest.set(member.member, member);
    generationBase = Math.max(generationBase, member.generationBase ?? 0);
  }
  if (generationBase === 0) generationBase = Math.floor(nowMs / 1000);
  const assigned = assignPartitions([...newest.keys()], partitions);
  return members.map(({ memberId, member }) => {
    const replaced = newest.get(member)!.memberId !== memberId;
    const own = replaced ? [] : assigned.get(member)!;
    return { memberId, memberAssignment: assignmentBytes(topics, own, { generationBase, replaced }) };
  });
}

function assignmentBytes(topics: readonly string[], partitions: readonly number[], facts: AssignedFacts): Buffer {
  const out = new KafkaWriter();
  out.int16(0);
  out.int32(topics.length);
  for (const topic of topics) {
    out.string(topic);
    out.int32(partitions.length);
    for (const partition of partitions) out.int32(partition);
  }
  out.bytes(Buffer.from(JSON.stringify(facts)));
  return out.buffer;
}

export interface ReadAssignment extends AssignedFacts {
  readonly partitions: readonly number[];
}

/** Without bytes: nothing is assigned, and no base known. */
export function readAssignment(bytes: Buffer): ReadAssignment {
  if (bytes.length === 0) return { partitions: [], generationBase: 0, replaced: false };
  const body = new KafkaReader(bytes);
  body.skip(2);
  const partitions = new Set<number>();
  for (let topics = body.int32(); topics > 0; topics--) {
    body.string();
    for (let left = body.int32(); left > 0; left--) partitions.add(body.int32());
  }
  const facts = JSON.parse(body.text(body.int32())) as AssignedFacts;
  return { ...facts, partitions: [...partitions].sort((a, b) => a - b) };
}
