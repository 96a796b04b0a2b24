import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type NodeState, type Owner, Ring } from './ring.ts';

function state(node: string, generation: number, partitions: readonly number[], url = `ws://${node}`): NodeState {
  return { node, url, generation, partitions, connections: 0 };
}

function ring(partitions = 3) {
  const changes: [number, string | undefined][] = [];
  const made = new Ring(partitions, 6_000, (partition, owner) => changes.push([partition, owner?.node]));
  return { ring: made, changes };
}

test('a partition belongs to whoever says so, and changes are told once', () => {
  const { ring: made, changes } = ring();
  made.heard(state('a', 1, [0, 1]), 0);
  made.heard(state('b', 1, [2]), 0);
  made.heard(state('a', 1, [0, 1]), 500);
  assert.deepEqual(changes, [
    [0, 'a'],
    [1, 'a'],
    [2, 'b'],
  ]);
  assert.equal(made.owned, 3);
  assert.deepEqual(made.owner(2), { node: 'b', url: 'ws://b', generation: 1 });
});

test('of several claims the one of the highest generation holds', () => {
  const { ring: made } = ring();
  made.heard(state('a', 7, [0]), 0);
  made.heard(state('b', 8, [0]), 0);
  made.heard(state('c', 6, [0]), 0);
  assert.equal(made.owner(0)?.node, 'b');
  made.left('b');
  assert.equal(made.owner(0)?.node, 'a');
});

test('within one generation the lesser name holds', () => {
  const { ring: made } = ring();
  made.heard(state('b', 7, [0]), 0);
  made.heard(state('a', 7, [0]), 0);
  assert.equal(made.owner(0)?.node, 'a');
});

test('a node silent for longer than the limit is absent, and present again when it is heard', () => {
  const { ring: made } = ring();
  made.heard(state('a', 1, [0]), 0);
  made.heard(state('b', 1, [1]), 3_000);
  made.expire(6_000);
  assert.equal(made.owner(0)?.node, 'a');
  made.expire(6_001);
  assert.equal(made.owner(0), undefined);
  assert.deepEqual(
    made.nodes().map(({ node }) => node),
    ['b'],
  );
  made.heard(state('a', 1, [0]), 7_000);
  assert.equal(made.owner(0)?.node, 'a');
});

test('a node that says it goes is gone at once', () => {
  const { ring: made, changes } = ring();
  made.heard(state('a', 1, [0]), 0);
  made.left('a');
  made.left('a');
  assert.deepEqual(changes, [
    [0, 'a'],
    [0, undefined],
  ]);
});

test('a new generation or address of the same owner is a change', () => {
  const { ring: made, changes } = ring(1);
  made.heard(state('a', 1, [0]), 0);
  made.heard(state('a', 2, [0]), 1);
  made.heard(state('a', 2, [0], 'ws://elsewhere'), 2);
  assert.equal(changes.length, 3);
});

test('a claim to a partition that there is not is passed over', () => {
  const { ring: made } = ring(2);
  made.heard(state('a', 1, [1, 2, 99]), 0);
  assert.equal(made.owned, 1);
});

test('all agree, in whatever order they heard', () => {
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
    for (const { node: name, generation, partitions } of states) made.heard(state(name, generation, partitions), 0);
    return Array.from({ length: 5 }, (_, partition): Owner | undefined => made.owner(partition));
  };
  fc.assert(
    fc.property(shuffled, ([one, other]) => assert.deepEqual(owners(one), owners(other))),
    { seed: 1, numRuns: 200 },
  );
});
