import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NodeState, Ring } from '../ownership/ring.ts';
import { RingPlacement } from './placement.ts';

function arrangement(other: Partial<NodeState> = {}) {
  const ring = new Ring(1, { suspectMs: 1_500, nodeSilenceMs: 6_000 });
  const both = { generation: 1, connections: 9, connectionsMax: 10, reachable: true, draining: false, standby: [] };
  ring.heard({ node: 'a', url: 'ws://a', partitions: [], ...both }, 0);
  const placement = new RingPlacement({ ring, node: 'a', partitions: 1 });
  const hear = (more: Partial<NodeState> = {}) =>
    ring.heard({ node: 'b', url: 'ws://b', partitions: [0], ...both, ...other, ...more }, 0);
  return { ring, placement, hear };
}

test('a device that another node owns is there, for who asks and for who comes', () => {
  const { placement, hear } = arrangement();
  assert.equal(placement.elsewhere('p.d'), undefined, 'nobody owns it');
  assert.equal(placement.home('p.d'), undefined);
  hear();
  assert.equal(placement.elsewhere('p.d'), 'ws://b');
  assert.deepEqual(placement.home('p.d'), { node: 'b', url: 'ws://b' });
});

test('a subtree is nowhere in particular', () => {
  const { placement, hear } = arrangement();
  hear();
  assert.equal(placement.elsewhere('p.>'), undefined);
  assert.equal(placement.elsewhere('>'), undefined);
});

test('a device of this node is here', () => {
  const { ring, placement } = arrangement();
  const self = ring.node('a')!;
  ring.heard({ ...self, partitions: [0], reachable: false }, 0);
  assert.equal(placement.elsewhere('p.d'), undefined);
  assert.deepEqual(placement.home('p.d'), { node: 'a', url: 'ws://a' });
});

const closed: readonly [string, Partial<NodeState>][] = [
  ['cannot be reached', { reachable: false }],
  ['drains', { draining: true }],
  ['is full', { connections: 10 }],
  ['does not tell how many clients it takes', { connectionsMax: 0 }],
  ['only stands in', { partitions: [], standby: [0] }],
];
for (const [why, state] of closed) {
  test(`nobody is sent to a node that ${why}; who asks for a place is given this one`, () => {
    const { placement, hear } = arrangement();
    hear(state);
    assert.equal(placement.elsewhere('p.d'), undefined);
    assert.deepEqual(placement.home('p.d'), { node: 'a', url: 'ws://a' });
  });
}

test('nobody is sent to a node that has fallen silent', () => {
  const { ring, placement, hear } = arrangement();
  hear();
  ring.heard(ring.node('a')!, 2_000);
  ring.expire(2_000);
  assert.equal(placement.elsewhere('p.d'), undefined);
});
