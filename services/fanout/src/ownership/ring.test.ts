import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type NodeState, type Owner, Ring } from './ring.ts';

function state(
  node: string,
  generation: number,
  partitions: readonly number[],
  others: Partial<NodeState> = {},
): NodeState {
  const idle = { standby: [], connections: 0, connectionsMax: 10, reachable: true, draining: false };
  return { node, url: `ws://${node}`, generation, partitions, ...idle, ...others };
}

/** Of a node that serves partitions as their standby owner. */
function standby(node: string, generation: number, partitions: readonly number[]): NodeState {
  return state(node, generation, [], { standby: partitions });
}

const limits = { suspectMs: 1_500, nodeTimeoutMs: 6_000 };

function ring(partitions = 3) {
  const changes: [number, string | undefined][] = [];
  const made = new Ring(partitions, limits);
  made.onChange((partition, owner) => changes.push([partition, owner?.node]));
  return { ring: made, changes };
}

test('a partition belongs to the node that announces it, and listeners are called once a change', () => {
  const { ring: made, changes } = ring();
  made.announced(state('a', 1, [0, 1]), 0);
  made.announced(state('b', 1, [2]), 0);
  made.announced(state('a', 1, [0, 1]), 500);
  assert.deepEqual(changes, [
    [0, 'a'],
    [1, 'a'],
    [2, 'b'],
  ]);
  assert.equal(made.owned, 3);
  assert.equal(made.owner(2)?.node, 'b');
  assert.equal(made.owner(2)?.url, 'ws://b');
});

test('of several claims the one of the highest generation holds', () => {
  const { ring: made } = ring();
  made.announced(state('a', 7, [0]), 0);
  made.announced(state('b', 8, [0]), 0);
  made.announced(state('c', 6, [0]), 0);
  assert.equal(made.owner(0)?.node, 'b');
  made.left('b', 0);
  assert.equal(made.owner(0)?.node, 'a');
});

test('within one generation the lesser name holds', () => {
  const { ring: made } = ring();
  made.announced(state('b', 7, [0]), 0);
  made.announced(state('a', 7, [0]), 0);
  assert.equal(made.owner(0)?.node, 'a');
});

test('a node that announces nothing for longer than the limit is absent, and present again when it does', () => {
  const { ring: made } = ring();
  made.announced(state('a', 1, [0]), 0);
  made.announced(state('b', 1, [1]), 3_000);
  made.expire(6_000);
  assert.equal(made.owner(0)?.node, 'a', 'suspect, but no other node is there');
  made.expire(6_001);
  assert.equal(made.owner(0), undefined);
  assert.deepEqual(
    made.nodes().map(({ node }) => node),
    ['b'],
  );
  made.announced(state('a', 1, [0]), 7_000);
  assert.equal(made.owner(0)?.node, 'a');
});

test('a node that announces that it leaves is gone at once', () => {
  const { ring: made, changes } = ring();
  made.announced(state('a', 1, [0]), 0);
  made.left('a', 0);
  made.left('a', 0);
  assert.deepEqual(changes, [
    [0, 'a'],
    [0, undefined],
  ]);
});

test('a new generation or address of the same owner is a change', () => {
  const { ring: made, changes } = ring(1);
  made.announced(state('a', 1, [0]), 0);
  made.announced(state('a', 2, [0]), 1);
  made.announced(state('a', 2, [0], { url: 'ws://elsewhere' }), 2);
  assert.equal(changes.length, 3);
});

test('a claim to a partition that does not exist is ignored', () => {
  const { ring: made } = ring(2);
  made.announced(state('a', 1, [1, 2, 99]), 0);
  assert.equal(made.owned, 1);
});

test('all nodes agree, in whatever order announcements come', () => {
  const node = fc.record({
    node: fc.constantFrom('a', 'b', 'c', 'd'),
    generation: fc.integer({ min: 1, max: 3 }),
    partitions: fc.uniqueArray(fc.integer({ min: 0, max: 4 })),
  });
  const nodes = fc.uniqueArray(node, { selector: (each) => each.node, maxLength: 4 });
  const shuffled = nodes.chain((states) =>
    fc.tuple(fc.constant(states), fc.shuffledSubarray(states, { minLength: states.length })),
  );
  const owners = (states: readonly { node: string; generation: number; partitions: readonly number[] }[]) => {
    const { ring: made } = ring(5);
    for (const { node: name, generation, partitions } of states) made.announced(state(name, generation, partitions), 0);
    return Array.from({ length: 5 }, (_, partition): Owner | undefined => made.owner(partition));
  };
  fc.assert(
    fc.property(shuffled, ([one, other]) => assert.deepEqual(owners(one), owners(other))),
    { seed: 1, numRuns: 200 },
  );
});

test('a suspect owner stays owner until a standby serves, and has its partition back when it announces again', () => {
  const { ring: made } = ring(1);
  made.announced(state('a', 5, [0]), 0);
  made.announced(state('b', 5, []), 1_400);
  made.expire(1_501);
  assert.equal(made.owner(0)?.node, 'a');
  assert.ok(made.isSuspect('a'));
  assert.equal(made.suspects, 1);
  assert.deepEqual(made.orphans(1_501), [0]);
  made.announced(standby('b', 5, [0]), 1_600);
  assert.equal(made.owner(0)?.node, 'b');
  assert.equal(made.owner(0)?.isStandby, true);
  assert.deepEqual(made.orphans(1_600), []);
  made.announced(state('a', 5, [0]), 1_700);
  assert.equal(made.owner(0)?.node, 'a');
  assert.equal(made.suspects, 0);
});

test('an owner that was away while the group went on without it has nothing back: its standby serves under a newer assignment', () => {
  const { ring: made } = ring(1);
  made.announced(state('a', 5, [0]), 0);
  made.announced(standby('b', 5, [0]), 4_000);
  made.expire(4_000);
  made.announced(standby('b', 6, [0]), 4_500);
  made.announced(state('a', 5, [0]), 5_000);
  assert.equal(made.owner(0)?.node, 'b');
  made.announced(state('c', 6, [0]), 5_100);
  assert.equal(made.owner(0)?.node, 'c');
});

test('a standby owner that becomes suspect leaves an orphan', () => {
  const { ring: made } = ring(1);
  made.announced(state('a', 5, [0]), 0);
  made.announced(standby('b', 5, [0]), 2_000);
  made.expire(2_000);
  made.expire(3_600);
  assert.deepEqual(made.orphans(3_600), [0]);
});

test('a partition whose owner has left is an orphan when no other serves it in time; one that never had an owner is none', () => {
  const { ring: made } = ring(2);
  made.announced(state('a', 5, [0]), 0);
  // Started again under its name.
  made.announced(state('a', 0, []), 400);
  assert.deepEqual(made.orphans(1_900), []);
  assert.deepEqual(made.orphans(1_901), [0]);
  made.announced(state('b', 6, [0]), 2_000);
  assert.deepEqual(made.orphans(9_000), []);
});

test('time in which no announcement could be received makes no node suspect', () => {
  const { ring: made } = ring(1);
  made.announced(state('a', 5, [0]), 0);
  made.extendDeadlines(20_000);
  made.expire(21_500);
  assert.equal(made.suspects, 0);
  made.expire(21_501);
  assert.equal(made.suspects, 1);
});

test('the nodes that would take more are those that announce and stay', () => {
  const { ring: made } = ring(1);
  made.announced(state('a', 5, [0]), 0);
  made.announced(state('b', 5, []), 2_000);
  made.announced(state('c', 5, [], { draining: true }), 2_000);
  made.expire(2_000);
  assert.deepEqual(made.eligibleNodes(), ['b']);
});
