import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NodeState, Ring } from '../ownership/ring.ts';
import { RingPlacement } from './placement.ts';

function fixture(other: Partial<NodeState> = {}) {
  const ring = new Ring(1, { suspectMs: 1_500, nodeTimeoutMs: 6_000 });
  const both = { generation: 1, connections: 9, connectionsMax: 10, reachable: true, draining: false, standby: [] };
  ring.announced({ node: 'a', url: 'ws://a', partitions: [], ...both }, 0);
  const placement = new RingPlacement({ ring, node: 'a', partitions: 1 });
  const announce = (more: Partial<NodeState> = {}) =>
    ring.announced({ node: 'b', url: 'ws://b', partitions: [0], ...both, ...other, ...more }, 0);
  return { ring, placement, announce };
}

test('a device that another node owns is placed there, for connected and for new clients', () => {
  const { placement, announce } = fixture();
  assert.equal(placement.elsewhere('p.d'), undefined, 'no node owns it');
  assert.equal(placement.home('p.d'), undefined);
  announce();
  assert.equal(placement.elsewhere('p.d'), 'ws://b');
  assert.deepEqual(placement.home('p.d'), { node: 'b', url: 'ws://b' });
});

test('a subtree has no place', () => {
  const { placement, announce } = fixture();
  announce();
  assert.equal(placement.elsewhere('p.>'), undefined);
  assert.equal(placement.elsewhere('>'), undefined);
});

test('a device that this node owns is placed here', () => {
  const { ring, placement } = fixture();
  const self = ring.node('a')!;
  ring.announced({ ...self, partitions: [0], reachable: false }, 0);
  assert.equal(placement.elsewhere('p.d'), undefined);
  assert.deepEqual(placement.home('p.d'), { node: 'a', url: 'ws://a' });
});

const closed: readonly [string, Partial<NodeState>][] = [
  ['cannot be reached', { reachable: false }],
  ['drains', { draining: true }],
  ['is full', { connections: 10 }],
  ['does not announce how many clients it takes', { connectionsMax: 0 }],
  ['is a standby owner', { partitions: [], standby: [0] }],
];
for (const [why, state] of closed) {
  test(`no client is sent to a node that ${why}; new clients are placed here`, () => {
    const { placement, announce } = fixture();
    announce(state);
    assert.equal(placement.elsewhere('p.d'), undefined);
    assert.deepEqual(placement.home('p.d'), { node: 'a', url: 'ws://a' });
  });
}

test('no client is sent to a suspect node', () => {
  const { ring, placement, announce } = fixture();
  announce();
  ring.announced(ring.node('a')!, 2_000);
  ring.expire(2_000);
  assert.equal(placement.elsewhere('p.d'), undefined);
});
