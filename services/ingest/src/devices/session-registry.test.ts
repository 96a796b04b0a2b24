import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { Counter } from '@tailrace/platform/measures';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import {
  type Claim,
  type ClaimingSession,
  type HandOver,
  type SessionPeers,
  SessionRegistry,
  type TakeOverWait,
} from './session-registry.ts';

class TestSession implements ClaimingSession {
  readonly device: string;
  readonly address: string;
  readonly instance: string;
  readonly openedMs = 0;
  readonly protocol = 'websocket';
  readonly client = undefined;
  lastReceivedMs = 0;
  claim: Claim | undefined;
  waitMs = 0;
  replacedBy: string | undefined;
  isAbandoned = false;
  number = 0;

  constructor(address: string, instance = '', device = 'plant1.a') {
    this.address = address;
    this.instance = instance;
    this.device = device;
  }

  claimed(claim: Claim): void {
    assert.equal(this.claim, undefined, 'claimed once');
    this.claim = claim;
    this.number = claim.number;
  }

  waits(waitMs: number): void {
    this.waitMs = waitMs;
  }

  replaced({ address, node }: { address: string; node: string }): void {
    assert.equal(this.replacedBy, undefined, 'replaced once');
    this.replacedBy = `${address} on ${node}`;
  }

  abandoned(): void {
    assert.ok(this.replacedBy !== undefined, 'abandoned after it was replaced');
    this.isAbandoned = true;
  }

  renumbered(number: number): void {
    this.number = number;
  }
}

function setUp(peers?: SessionPeers) {
  const clock = createFakeClock({ nowMs: 1_764_446_400_000 });
  const conflicts: unknown[] = [];
  const pair = () => ({ yes: new Counter(), no: new Counter() });
  const counts = { node: pair(), cluster: pair() };
  const ahead = new Counter();
  const registry = new SessionRegistry<TestSession>({
    node: 'ingest-0',
    clock,
    logger: silentLogger,
    counts,
    presence: { conflict: (...facts) => void conflicts.push(facts) },
    onClockAhead: () => ahead.add(),
  });
  registry.peers = peers;
  return { clock, registry, conflicts, counts, ahead };
}

test('the newest session has the device, and its number is higher', () => {
  const { registry, counts } = setUp();
  const [first, second] = [new TestSession('10.0.0.1'), new TestSession('10.0.0.2')];
  registry.claim(first);
  assert.deepEqual(first.claim, {
    number: 1_764_446_400_001,
    replaced: undefined,
    handOver: undefined,
    isMoved: false,
  });
  registry.claim(second);
  assert.equal(registry.of('plant1.a'), second);
  assert.equal(first.replacedBy, '10.0.0.2 on ingest-0');
  assert.deepEqual(second.claim?.replaced, { address: '10.0.0.1', openedMs: 0 });
  assert.ok(second.claim!.number > first.claim!.number);
  assert.equal(counts.node.yes.value, 1);
});

test('numbers rise although the clock is set back', () => {
  const { registry, clock } = setUp();
  const [first, second] = [new TestSession('10.0.0.1'), new TestSession('10.0.0.2')];
  registry.claim(first);
  clock.setWallClock(0);
  registry.claim(second);
  assert.ok(second.claim!.number > first.claim!.number);
});

test('a session that is replaced does not remove the session that replaced it, in any order of the callbacks', () => {
  const steps = ['claim 1', 'claim 2', 'release 1', 'release 2'];
  for (const order of permutations(steps)) {
    // A session is released after its claim, or never claims.
    if (order.indexOf('release 1') < order.indexOf('claim 1')) continue;
    if (order.indexOf('release 2') < order.indexOf('claim 2')) continue;
    const { registry } = setUp();
    const sessions = [new TestSession('10.0.0.1', 'a'), new TestSession('10.0.0.2', 'a')];
    let expected: TestSession | undefined;
    for (const step of order) {
      const session = sessions[Number(step.at(-1)) - 1]!;
      if (step.startsWith('claim')) {
        registry.claim(session);
        expected = session;
      } else {
        assert.equal(registry.release(session), expected === session, order.join(', '));
        if (expected === session) expected = undefined;
      }
      assert.equal(registry.of('plant1.a'), expected, order.join(', '));
    }
    assert.equal(registry.size, 0);
  }
});

function permutations(steps: readonly string[]): string[][] {
  if (steps.length <= 1) return [[...steps]];
  return steps.flatMap((step) => permutations(steps.filter((each) => each !== step)).map((rest) => [step, ...rest]));
}

/** Takes over the device three times, so that the next takeover waits. */
function fight(registry: SessionRegistry<TestSession>): TestSession {
  let last = new TestSession('10.0.0.0');
  registry.claim(last);
  for (let count = 1; count <= 3; count++) {
    last = new TestSession(`10.0.0.${count}`);
    registry.claim(last);
  }
  return last;
}

test('the fourth takeover in a minute waits while the first device keeps working, and the waiting stops by itself', async () => {
  const { registry, clock, conflicts } = setUp();
  const incumbent = fight(registry);
  const newcomer = new TestSession('10.0.0.4');
  registry.claim(newcomer);
  assert.deepEqual([newcomer.waitMs, newcomer.claim, incumbent.replacedBy], [1_000, undefined, undefined]);
  assert.deepEqual(conflicts, [['plant1.a', ['10.0.0.3', '10.0.0.4'], ['ingest-0', 'ingest-0'], 4]]);
  await clock.advance(999);
  assert.equal(registry.of('plant1.a'), incumbent);
  await clock.advance(1);
  assert.equal(registry.of('plant1.a'), newcomer);
  assert.equal(incumbent.replacedBy, '10.0.0.4 on ingest-0');
  // A minute later nothing waits.
  await clock.advance(60_000);
  newcomer.lastReceivedMs = clock.monotonic();
  const later = new TestSession('10.0.0.5');
  registry.claim(later);
  assert.ok(later.claim !== undefined);
});

test('a session that waits has the device at once when the other one closes', () => {
  const { registry, clock } = setUp();
  const incumbent = fight(registry);
  const newcomer = new TestSession('10.0.0.4');
  registry.claim(newcomer);
  assert.equal(registry.waiting, 1);
  registry.release(incumbent);
  assert.equal(registry.of('plant1.a'), newcomer);
  assert.equal(registry.waiting, 0);
  assert.equal(clock.pending(), 0);
});

test('one session waits for a device: a newer one takes its place, and one that closes leaves no timer', async () => {
  const { registry, clock } = setUp();
  const incumbent = fight(registry);
  const [fourth, fifth] = [new TestSession('10.0.0.4'), new TestSession('10.0.0.5')];
  registry.claim(fourth);
  registry.claim(fifth);
  assert.deepEqual([fourth.replacedBy, fifth.waitMs], ['10.0.0.5 on ingest-0', 2_000]);
  assert.equal(registry.release(fifth), false);
  assert.equal(clock.pending(), 0);
  await clock.advance(5_000);
  assert.equal(registry.of('plant1.a'), incumbent);
});

/** Another node that is known to have or have had each device, whose replies the test sends. */
function testPeers() {
  const replies: ((reply: HandOver | TakeOverWait | undefined) => void)[] = [];
  const sent: string[] = [];
  const peers: SessionPeers = {
    numberOf: () => 0,
    takeOver(_session, hasWaited, done) {
      if (hasWaited) sent.push('again');
      replies.push(done);
      return true;
    },
    opened: ({ address }, _number, isFresh) => void sent.push(`${isFresh ? 'opened' : 'confirmed'} ${address}`),
    closed: ({ address }) => void sent.push(`closed ${address}`),
    replaced: ({ address }) => void sent.push(`replaced ${address}`),
    renumbered: ({ address }) => void sent.push(`renumbered ${address}`),
  };
  return { peers, replies, sent };
}

const handOver: HandOver = { number: 1_764_446_500_000, recentIds: BigUint64Array.of(7n), lastSeq: 3, takeovers: 0 };
const elsewhere = { address: '10.0.0.9', node: 'ingest-1' };

/** A session of this node, for which no other node had anything. */
function open(set: ReturnType<typeof setUp>, peers: ReturnType<typeof testPeers>, address = '10.0.0.1'): TestSession {
  const session = new TestSession(address);
  set.registry.claim(session);
  peers.replies.shift()!(undefined);
  return session;
}

test('what another node had is taken over, and the number is above its number', () => {
  const { peers, replies, sent } = testPeers();
  const { registry } = setUp(peers);
  const session = new TestSession('10.0.0.1');
  registry.claim(session);
  assert.equal(session.claim, undefined);
  replies[0]!(handOver);
  assert.deepEqual(session.claim, { number: 1_764_446_500_001, replaced: undefined, handOver, isMoved: true });
  registry.release(session);
  assert.deepEqual(sent, ['opened 10.0.0.1', 'closed 10.0.0.1']);
});

test('a device that no other node has is opened at once', () => {
  const { peers } = testPeers();
  const { registry } = setUp({ ...peers, takeOver: () => false, numberOf: () => 2 ** 42 });
  const session = new TestSession('10.0.0.1');
  registry.claim(session);
  assert.equal(session.claim?.number, 2 ** 42 + 1);
});

test('a reply of another node to a session that has closed, or was replaced meanwhile, changes nothing', () => {
  const { peers, replies } = testPeers();
  const { registry } = setUp(peers);
  const [first, second, third] = ['1', '2', '3'].map((address) => new TestSession(address)) as [
    TestSession,
    TestSession,
    TestSession,
  ];
  registry.claim(first);
  registry.release(first);
  registry.claim(second);
  registry.claim(third);
  assert.equal(second.replacedBy, '3 on ingest-0');
  for (const reply of replies) reply(undefined);
  assert.deepEqual([first.claim, second.claim], [undefined, undefined]);
  assert.equal(registry.of('plant1.a'), third);
});

test('a session that opens elsewhere replaces the one here, whatever its number, and numbers rise above it', async () => {
  const peers = testPeers();
  const set = setUp(peers.peers);
  const { registry, clock, counts } = set;
  const session = open(set, peers);
  await clock.advance(2_000);
  const number = clock.now() + 60_000;
  registry.openedElsewhere({ device: 'plant1.a', number, isFresh: true, ...elsewhere });
  assert.equal(session.replacedBy, '10.0.0.9 on ingest-1');
  assert.equal(registry.release(session), false);
  assert.equal(counts.cluster.no.value, 1);
  assert.deepEqual(peers.sent, ['opened 10.0.0.1', 'replaced 10.0.0.1']);
  assert.ok(open(set, peers, '10.0.0.2').number > number);
  // The clock of the other node is behind: it gets to know the number of this one, as closed.
  await clock.advance(2_000);
  registry.openedElsewhere({ device: 'plant1.a', number: 5, isFresh: true, ...elsewhere });
  assert.equal(registry.of('plant1.a'), undefined);
  assert.equal(peers.sent.at(-1), 'closed 10.0.0.2');
});

test('a session gets a number above one that it has replaced without knowing it', () => {
  const peers = testPeers();
  const set = setUp(peers.peers);
  const session = open(set, peers);
  set.registry.closedElsewhere('plant1.a', session.number + 5_000);
  assert.ok(session.number > session.claim!.number + 5_000);
  assert.deepEqual(peers.sent, ['opened 10.0.0.1', 'renumbered 10.0.0.1']);
  set.registry.closedElsewhere('plant1.a', session.number - 1);
  assert.equal(peers.sent.length, 2);
});

test('of two sessions that open at once the one with the higher number stays, and is published again', () => {
  const peers = testPeers();
  const set = setUp(peers.peers);
  const session = open(set, peers);
  const peer = { device: 'plant1.a', isFresh: true, ...elsewhere };
  set.registry.openedElsewhere({ ...peer, number: session.number - 1 });
  assert.deepEqual([session.replacedBy, peers.sent.at(-1)], [undefined, 'confirmed 10.0.0.1']);
  // Equal numbers: by the name of the node.
  set.registry.openedElsewhere({ ...peer, number: session.number, node: 'ingest' });
  assert.equal(session.replacedBy, undefined);
  set.registry.openedElsewhere({ ...peer, number: session.number });
  assert.equal(session.replacedBy, '10.0.0.9 on ingest-1');
});

test('a session that was opened before an outage of the bus is compared by its number', async () => {
  const peers = testPeers();
  const set = setUp(peers.peers);
  const session = open(set, peers);
  await set.clock.advance(60_000);
  const peer = { device: 'plant1.a', isFresh: false, ...elsewhere };
  set.registry.openedElsewhere({ ...peer, number: session.number - 1 });
  assert.equal(session.replacedBy, undefined);
  set.registry.openedElsewhere({ ...peer, number: session.number + 1 });
  assert.equal(session.replacedBy, '10.0.0.9 on ingest-1');
});

test('a node whose clock is a day ahead raises the numbers of its devices alone', () => {
  const peers = testPeers();
  const set = setUp(peers.peers);
  const day = 86_400_000;
  set.registry.openedElsewhere({ device: 'plant1.b', number: set.clock.now() + day, isFresh: true, ...elsewhere });
  assert.equal(set.ahead.value, 1);
  assert.ok(open(set, peers).number < set.clock.now() + day);
});

test('a device is handed over to another node, with the takeovers that it has counted', () => {
  const peers = testPeers();
  const set = setUp(peers.peers);
  const { registry } = set;
  const session = open(set, peers);
  const by = { ...elsewhere, instance: '', hasWaited: false };
  assert.deepEqual(registry.handOver('plant1.a', by), { waitMs: 0, takeovers: 1 });
  assert.equal(session.replacedBy, '10.0.0.9 on ingest-1');
  assert.equal(set.counts.cluster.yes.value, 1);
  assert.deepEqual(registry.handOver('plant1.b', by), { waitMs: 0, takeovers: 0 });
});

test('the fourth takeover in a minute waits, although the device has moved between nodes', async () => {
  const peers = testPeers();
  const set = setUp(peers.peers);
  const { registry, clock } = set;
  const session = new TestSession('10.0.0.1');
  registry.claim(session);
  peers.replies.shift()!({ ...handOver, takeovers: 3 });
  const by = { ...elsewhere, instance: '', hasWaited: false };
  assert.deepEqual(registry.handOver('plant1.a', by), { waitMs: 1_000, takeovers: 0 });
  assert.deepEqual(set.conflicts, [['plant1.a', ['10.0.0.1', '10.0.0.9'], ['ingest-0', 'ingest-1'], 4]]);
  assert.equal(registry.of('plant1.a'), session);
  await clock.advance(1_000);
  assert.deepEqual(registry.handOver('plant1.a', { ...by, hasWaited: true }), { waitMs: 0, takeovers: 4 });
  assert.equal(registry.of('plant1.a'), undefined);
});

test('a session waits as long as the other node requests, then requests the device again', async () => {
  const peers = testPeers();
  const { registry, clock } = setUp(peers.peers);
  const session = new TestSession('10.0.0.1');
  registry.claim(session);
  peers.replies.shift()!({ waitMs: 2_000 });
  assert.deepEqual([session.waitMs, session.claim], [2_000, undefined]);
  await clock.advance(2_000);
  assert.deepEqual(peers.sent, ['again']);
  peers.replies.shift()!(handOver);
  assert.equal(registry.of('plant1.a'), session);
});

test('a session that waits for another node has the device as soon as that one is closed', () => {
  const peers = testPeers();
  const { registry, clock } = setUp(peers.peers);
  const session = new TestSession('10.0.0.1');
  registry.claim(session);
  peers.replies.shift()!({ waitMs: 2_000 });
  registry.closedElsewhere('plant1.a', 1);
  peers.replies.shift()!(undefined);
  assert.equal(registry.of('plant1.a'), session);
  assert.equal(clock.pending(), 0);
});

test('a session is abandoned if the newer one of another node never opens', async () => {
  const peers = testPeers();
  const set = setUp(peers.peers);
  const { registry, clock } = set;
  const by = { ...elsewhere, instance: '', hasWaited: false };
  const [lost, replaced] = [open(set, peers), new TestSession('10.0.0.2', '', 'plant1.b')];
  registry.claim(replaced);
  peers.replies.shift()!(undefined);
  registry.handOver('plant1.a', by);
  registry.handOver('plant1.b', by);
  registry.openedElsewhere({ device: 'plant1.b', number: clock.now() + 5, isFresh: true, ...elsewhere });
  await clock.advance(9_999);
  registry.check();
  assert.equal(lost.isAbandoned, false);
  await clock.advance(1);
  registry.check();
  assert.deepEqual([lost.isAbandoned, replaced.isAbandoned], [true, false]);
});
