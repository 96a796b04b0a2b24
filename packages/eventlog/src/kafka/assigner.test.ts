import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assignPartitions } from '../rendezvous.ts';
import { assignmentsFor, generationOf, type MemberFacts, readAssignment, subscriptionBytes } from './assigner.ts';

const topics = ['telemetry', 'events'];
const nowMs = 1_700_000_000_000;

function joined(memberId: string, facts: MemberFacts) {
  return { memberId, memberMetadata: subscriptionBytes(topics, facts) };
}

function assigned(members: readonly { memberId: string; memberMetadata: Buffer }[], atMs = nowMs) {
  return new Map(
    assignmentsFor(members, topics, 12, atMs).map(({ memberId, memberAssignment }) => [
      memberId,
      readAssignment(memberAssignment),
    ]),
  );
}

test('names decide, not the IDs that the broker gives', () => {
  const names = ['node-a', 'node-b', 'node-c'];
  const expected = assignPartitions(names, 12);
  for (const ids of [
    ['1', '2', '3'],
    ['9', '4', '7'],
  ]) {
    const result = assigned(names.map((member, n) => joined(ids[n]!, { member, startedMs: n })));
    for (const [n, name] of names.entries()) assert.deepEqual(result.get(ids[n]!)!.partitions, expected.get(name));
  }
});

test('of two with one name the later has all of it, and the earlier is notified', () => {
  const result = assigned([
    joined('old', { member: 'node-a', startedMs: 1 }),
    joined('new', { member: 'node-a', startedMs: 2 }),
    joined('other', { member: 'node-b', startedMs: 1 }),
  ]);
  assert.deepEqual(result.get('old')!.partitions, []);
  assert.equal(result.get('old')!.replaced, true);
  assert.equal(result.get('new')!.replaced, false);
  assert.equal(result.get('new')!.partitions.length + result.get('other')!.partitions.length, 12);
});

test('the generation grows from leader to leader, and when Kafka has forgotten the group', () => {
  const first = assigned([joined('1', { member: 'a', startedMs: 1 })]).get('1')!;
  const carried = assigned(
    [
      joined('2', { member: 'b', startedMs: 2 }),
      joined('1', { member: 'a', startedMs: 1, generationBase: first.generationBase }),
    ],
    // However late, and also where the clock of the new leader is behind.
    nowMs - 60_000,
  );
  assert.equal(carried.get('2')!.generationBase, first.generationBase);
  assert.ok(generationOf(carried.get('2')!.generationBase, 2) > generationOf(first.generationBase, 1));
  // No member is left that knows; the group starts again at 1, an hour later, after 50 generations.
  const [later] = assignmentsFor([joined('3', { member: 'c', startedMs: 3 })], topics, 12, nowMs + 3_600_000);
  const again = readAssignment(later!.memberAssignment).generationBase;
  assert.ok(generationOf(again, 1) > generationOf(first.generationBase, 50));
});

test('a member of another kind takes part under its ID; without an assignment there is nothing', () => {
  const result = assigned([
    { memberId: 'foreign-1', memberMetadata: Buffer.from([0, 0, 0]) },
    joined('1', { member: 'a', startedMs: 1 }),
  ]);
  const expected = assignPartitions(['a', 'foreign-1'], 12);
  assert.deepEqual(result.get('foreign-1')!.partitions, expected.get('foreign-1'));
  assert.deepEqual(readAssignment(Buffer.alloc(0)).partitions, []);
});
