import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assignPartitions } from '../rendezvous.ts';
import { assignmentsFor, generationOf, type MemberUserData, readAssignment, subscriptionBytes } from './assigner.ts';

const topics = ['telemetry', 'events'];
const nowMs = 1_700_000_000_000;

function joined(memberId: string, facts: MemberUserData) {
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

test('the assignment depends on the names of members, not on their IDs', () => {
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

test('of two members with the same name the later one has the partitions, and the earlier one is notified', () => {
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

test('the generation increases from leader to leader, and after Kafka has deleted the group', () => {
  const first = assigned([joined('1', { member: 'a', startedMs: 1 })]).get('1')!;
  const carried = assigned(
    [
      joined('2', { member: 'b', startedMs: 2 }),
      joined('1', { member: 'a', startedMs: 1, generationBase: first.generationBase }),
    ],
    // At any time, and also if the clock of the new leader is behind.
    nowMs - 60_000,
  );
  assert.equal(carried.get('2')!.generationBase, first.generationBase);
  assert.ok(generationOf(carried.get('2')!.generationBase, 2) > generationOf(first.generationBase, 1));
  // No member is left; an hour later, after 50 generations, the group restarts at 1.
  const [later] = assignmentsFor([joined('3', { member: 'c', startedMs: 3 })], topics, 12, nowMs + 3_600_000);
  const again = readAssignment(later!.memberAssignment).generationBase;
  assert.ok(generationOf(again, 1) > generationOf(first.generationBase, 50));
});

test('a member of another program has its ID as its name; an empty assignment has no partitions', () => {
  const result = assigned([
    { memberId: 'other-1', memberMetadata: Buffer.from([0, 0, 0]) },
    joined('1', { member: 'a', startedMs: 1 }),
  ]);
  const expected = assignPartitions(['a', 'other-1'], 12);
  assert.deepEqual(result.get('other-1')!.partitions, expected.get('other-1'));
  assert.deepEqual(readAssignment(Buffer.alloc(0)).partitions, []);
});
