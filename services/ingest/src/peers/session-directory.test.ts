import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SessionDigest } from './session-digest.ts';
import { type PeerNode, peerSessionsMax, SessionDirectory } from './session-directory.ts';

function setUp() {
  const directory = new SessionDirectory();
  const nodeOf = (name: string, boot = 'b1', nowMs = 0): PeerNode => directory.received(name, boot, nowMs)!.node;
  return { directory, nodeOf };
}

const claim = (number: number, device = 'plant1.a') => ({ device, number, protocol: 'websocket' });

test('the last session of a device is known, also after it has closed, for an hour', () => {
  const { directory, nodeOf } = setUp();
  const [one, two] = [nodeOf('ingest-1'), nodeOf('ingest-2')];
  directory.opened(one, claim(5), true, 0);
  directory.opened(two, claim(6), true, 0);
  const found = directory.find('plant1.a', 0);
  assert.deepEqual([found?.node.name, found?.number, found?.isOpen], ['ingest-2', 6, true]);
  // Of the session that was replaced, received late.
  directory.closed(one, claim(5), 0);
  assert.equal(directory.find('plant1.a', 0)?.isOpen, true);
  directory.closed(two, claim(6), 10);
  assert.equal(directory.find('plant1.a', 0)?.isOpen, false);
  one.receivedMs = 3_600_010;
  two.receivedMs = 3_600_010;
  directory.check(3_600_009);
  assert.equal(directory.numberOf('plant1.a'), 6);
  directory.check(3_600_010);
  assert.deepEqual([directory.size, directory.numberOf('plant1.a')], [0, 0]);
});

test('what is received late, or twice, changes nothing', () => {
  const { directory, nodeOf } = setUp();
  const [one, two] = [nodeOf('ingest-1'), nodeOf('ingest-2')];
  directory.opened(one, claim(5), true, 0);
  directory.closed(one, claim(5), 0);
  directory.opened(one, claim(5), true, 0);
  assert.equal(directory.find('plant1.a', 0)?.isOpen, false);
  directory.opened(two, claim(7), true, 0);
  directory.opened(one, claim(6), false, 0);
  assert.equal(directory.find('plant1.a', 0)?.node, two);
  // One that has opened now is the newer one, although the clock of its node is behind.
  directory.opened(one, claim(6), true, 0);
  assert.equal(directory.find('plant1.a', 0)?.node, one);
});

test('a node that is not received for 3 s is not found, and its sessions are forgotten after a minute', () => {
  const { directory, nodeOf } = setUp();
  directory.opened(nodeOf('ingest-1'), claim(5), true, 0);
  assert.ok(directory.find('plant1.a', 2_999));
  assert.equal(directory.find('plant1.a', 3_000), undefined);
  directory.check(59_999);
  assert.equal(directory.size, 1);
  directory.check(60_000);
  assert.equal(directory.size, 0);
});

test('the sessions of a node are forgotten when it starts again, and when it stops', () => {
  const { directory, nodeOf } = setUp();
  directory.opened(nodeOf('ingest-1'), claim(5), true, 0);
  assert.equal(directory.received('ingest-1', 'b1', 0)?.isNew, false);
  assert.equal(directory.received('ingest-1', 'b2', 0)?.isNew, true);
  assert.equal(directory.find('plant1.a', 0), undefined);
  const again = nodeOf('ingest-1', 'b2');
  directory.opened(again, claim(6), true, 0);
  directory.forgetNode(again);
  assert.equal(directory.size, 0);
});

test('the digest of a node is that of its open sessions, in any order of what was received', () => {
  const { directory, nodeOf } = setUp();
  const [one, two] = [nodeOf('ingest-1'), nodeOf('ingest-2')];
  for (const device of ['plant1.a', 'plant1.b', 'plant1.c']) directory.opened(one, claim(5, device), true, 0);
  directory.closed(one, claim(5, 'plant1.b'), 0);
  directory.opened(two, claim(6, 'plant1.c'), true, 0);
  directory.opened(one, claim(7), true, 0);
  const expected = new SessionDigest();
  expected.add('plant1.a', 7);
  assert.ok(one.digest.equals(expected));
  directory.forget('plant1.a');
  assert.ok(one.digest.equals(new SessionDigest()));
});

test('an open session that is not in the list of its node has closed, unless it is newer', () => {
  const { directory, nodeOf } = setUp();
  const one = nodeOf('ingest-1');
  for (const [index, device] of ['plant1.a', 'plant1.b', 'plant1.c'].entries())
    directory.opened(one, claim(index + 1, device), true, 0);
  directory.keepOnly(one, new Set(['plant1.b']), 2);
  assert.deepEqual(
    ['plant1.a', 'plant1.b', 'plant1.c'].map((device) => directory.numberOf(device)),
    [0, 2, 3],
  );
});

test('at the limit the oldest closed device is forgotten, then the oldest open one', () => {
  const { directory, nodeOf } = setUp();
  const one = nodeOf('ingest-1');
  for (let index = 0; index < peerSessionsMax; index++) directory.opened(one, claim(1, `a.d${index}`), true, 0);
  directory.closed(one, claim(1, 'a.d5'), 0);
  directory.opened(one, claim(1, 'a.x'), true, 0);
  assert.deepEqual([directory.size, directory.numberOf('a.d5')], [peerSessionsMax, 0]);
  directory.opened(one, claim(1, 'a.y'), true, 0);
  assert.deepEqual([directory.size, directory.numberOf('a.d0')], [peerSessionsMax, 0]);
});
