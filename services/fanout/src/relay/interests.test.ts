import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Device } from '../channels/device.ts';
import { Interests } from './relay-feed.ts';

const leaseMs = 30_000;

test('a device is wanted while some node has interest in a channel that covers it', () => {
  const interests = new Interests(leaseMs, 0);
  const device = new Device('p.d', 0);
  assert.equal(interests.isWanted(device), false);
  interests.add('a', ['p.>'], 0);
  interests.add('b', ['p.d'], 0);
  assert.equal(interests.isWanted(device), true);
  interests.release('a', ['p.>']);
  assert.equal(interests.isWanted(device), true);
  interests.release('b', ['p.d']);
  assert.equal(interests.isWanted(device), false);
  assert.equal(interests.isEmpty, true);
});

test('a channel is counted once, however often it is requested', () => {
  const interests = new Interests(leaseMs, 0);
  interests.add('a', ['p.d', 'p.d'], 0);
  interests.add('a', ['p.d', 'p.e'], 0);
  assert.equal(interests.held('a'), 2);
  interests.release('a', ['p.d', 'p.x']);
  assert.equal(interests.held('a'), 1);
});

test('all interest of a node expires when its lease does, and not before', () => {
  const interests = new Interests(leaseMs, 0);
  interests.add('a', ['p.d'], 0);
  interests.add('b', ['p.e'], 0);
  // Every request renews, even one without channels.
  interests.add('a', [], 20_000);
  interests.expire(29_999);
  assert.equal(interests.held('b'), 1);
  interests.expire(30_000);
  assert.equal(interests.held('a'), 1);
  assert.equal(interests.held('b'), 0);
  interests.expire(50_000);
  assert.equal(interests.isEmpty, true);
});

test('a node without channels has no lease', () => {
  const interests = new Interests(leaseMs, 0);
  interests.add('a', [], 0);
  interests.release('a', ['p.d']);
  assert.equal(interests.isEmpty, true);
});

test('the stream epoch changes when a node loses interest that it has not released, and not otherwise', () => {
  const interests = new Interests(leaseMs, 5);
  const changed = (change: () => void) => {
    const before = interests.streamEpoch;
    change();
    return interests.streamEpoch !== before;
  };
  assert.equal(interests.streamEpoch, 5);
  assert.equal(
    changed(() => interests.add('a', ['p.d', 'p.e'], 0)),
    false,
  );
  assert.equal(
    changed(() => interests.release('a', ['p.e'])),
    false,
  );
  assert.equal(
    changed(() => interests.expire(29_999)),
    false,
  );
  assert.ok(changed(() => interests.expire(30_000)));
  interests.add('a', ['p.d'], 40_000);
  assert.ok(changed(() => interests.drop('a')));
  assert.equal(
    changed(() => interests.drop('a')),
    false,
  );
  interests.add('a', ['p.d'], 40_000);
  assert.ok(changed(() => interests.clear()));
});

test('clearing removes the interest of all nodes', () => {
  const interests = new Interests(leaseMs, 0);
  interests.add('a', ['p.d', '>'], 0);
  interests.add('b', ['p.d'], 0);
  interests.clear();
  assert.equal(interests.isEmpty, true);
  assert.equal(interests.isWanted(new Device('p.d', 0)), false);
});
