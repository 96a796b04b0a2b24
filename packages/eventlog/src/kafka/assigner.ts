/**
 * The assignment of partitions in a consumer group on Kafka, in the format of the "consumer" embedded protocol
 * (https://kafka.apache.org/protocol.html, ConsumerProtocolSubscription and -Assignment, version 0), which Kafka's own
 * tools read.
 *
 * Each member sends its stable name in the user data, so that any leader assigns by rendezvous hashing over names.
 */

import { assignPartitions } from '../rendezvous.ts';
import { KafkaReader, KafkaWriter } from './bytes.ts';

/** The name of the assignor, the same for all members of a group. */
export const protocolName = 'tailrace-rendezvous';

/** The user data that a member sends to the leader. */
export interface MemberUserData {
  /** Stable name. */
  readonly member: string;
  /** When this process became a member, epoch ms. Of two with the same name the later one has replaced the other. */
  readonly startedMs: number;
  /** See `generationOf`; undefined before the first assignment of the member. */
  readonly generationBase?: number;
}

/** The user data that the leader sends to a member. */
export interface AssignmentUserData {
  readonly generationBase: number;
  /** Whether another process has joined under its name since: the member has no partitions. */
  readonly replaced: boolean;
}

export interface JoinedMember {
  readonly memberId: string;
  readonly memberMetadata: Buffer;
}

/**
 * Returns the generation for subscribers. Kafka counts the generations of a group, but restarts at 1 after it has
 * deleted a group that was empty for long. Therefore the first leader sets a base, the seconds since 1970, which
 * members pass on from generation to generation. The generation always increases, unless a group rebalances more than
 * once a second until it is deleted.
 */
export function generationOf(base: number, kafkaGeneration: number): number {
  return base + kafkaGeneration;
}

export function subscriptionBytes(topics: readonly string[], facts: MemberUserData): Buffer {
  const out = new KafkaWriter();
  out.int16(0);
  out.int32(topics.length);
  for (const topic of topics) out.string(topic);
  out.bytes(Buffer.from(JSON.stringify(facts)));
  return out.buffer;
}

/** Returns the user data of a member. A member of another program has its ID as its name. */
function userDataOf({ memberId, memberMetadata }: JoinedMember): MemberUserData {
  try {
    const body = new KafkaReader(memberMetadata);
    body.skip(2);
    for (let topics = body.int32(); topics > 0; topics--) body.string();
    const facts = JSON.parse(body.text(body.int32())) as Partial<MemberUserData>;
    if (typeof facts.member === 'string' && typeof facts.startedMs === 'number') return facts as MemberUserData;
  } catch {}
  return { member: memberId, startedMs: 0 };
}

/** Returns an assignment for each member, of the same partitions of all topics. For the leader of the group. */
export function assignmentsFor(
  joined: readonly JoinedMember[],
  topics: readonly string[],
  partitions: number,
  nowMs: number,
): { memberId: string; memberAssignment: Buffer }[] {
  const members = joined.map((member) => ({ memberId: member.memberId, ...userDataOf(member) }));
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

function assignmentBytes(topics: readonly string[], partitions: readonly number[], facts: AssignmentUserData): Buffer {
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

export interface ReadAssignment extends AssignmentUserData {
  readonly partitions: readonly number[];
}

/** Parses an assignment. Without bytes no partitions are assigned, and the base is 0. */
export function readAssignment(bytes: Buffer): ReadAssignment {
  if (bytes.length === 0) return { partitions: [], generationBase: 0, replaced: false };
  const body = new KafkaReader(bytes);
  body.skip(2);
  const partitions = new Set<number>();
  for (let topics = body.int32(); topics > 0; topics--) {
    body.string();
    for (let left = body.int32(); left > 0; left--) partitions.add(body.int32());
  }
  const facts = JSON.parse(body.text(body.int32())) as AssignmentUserData;
  return { ...facts, partitions: [...partitions].sort((a, b) => a - b) };
}
