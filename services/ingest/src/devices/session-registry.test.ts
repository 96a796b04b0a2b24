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
} from './session-registry.ts';

class TestSession implements ClaimingSession {
  readonly device: string;
  readonly address: string;
  readonly instance: string;
  readonly openedMs = 0;
  lastReceivedMs = 0;
  claim: Claim | undefined;
  waitMs = 0;
  replacedBy: string | undefined;

  constructor(address: string, instance = '', device = 'plant1.a') {
    this.address = address;
    this.instance = instance;
    this.device = device;
  }

  claimed(claim: Claim): void {
    assert.equal(this.claim, undefined, 'claimed once');
    this.claim = claim;
  }

  waits(waitMs: number): void {
    this.waitMs = waitMs;
  }

  replaced({ address, node }: { address: string; node: string }): void {
    assert.equal(this.replacedBy, undefined, 'replaced once');
    this.replacedBy = `${address} on ${node}`;
  }
}

function setUp(peers?: SessionPeers) {
  const clock = createFakeClock({ nowMs: 1_764_446_400_000 });
  const conflicts: unknown[] = [];
  const pair = () => ({ yes: new Counter(), no: new Counter() });
  const counts = { node: pair(), cluster: pair() };
  const registry = new SessionRegistry<TestSession>({
    node: 'ingest-0',
    clock,
    logger: silentLogger,
    counts,
    presence: { conflict: (...facts) => void conflicts.push(facts) },
    ...(peers !== undefined && { peers }),
  });
  return { clock, registry, conflicts, counts };
}

test('the newest session has the device, and its number is higher', () => {
  const { registry, counts } = setUp();
  const [first, second] = [new TestSession('10.0.0.1'), new TestSession('10.0.0.2')];
  registry.claim(first);
  assert.deepEqual(first.claim, { number: 1_764_446_400_001, replaced: undefined, recentIds: undefined });
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
  assert.deepEqual(conflicts, [['plant1.a', ['10.0.0.3', '10.0.0.4'], 4]]);
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

/** Other nodes, whose replies the test sends. */
function testPeers() {
  const replies: ((handOver: HandOver | undefined) => void)[] = [];
  const sent: string[] = [];
  const peers: SessionPeers = {
    takeOver: (_device, done) => void replies.push(done),
    opened: ({ address }) => void sent.push(`opened ${address}`),
    closed: ({ address }) => void sent.push(`closed ${address}`),
  };
  return { peers, replies, sent };
}

test('what another node had is taken over, and the number is above its number', () => {
  const { peers, replies, sent } = testPeers();
  const { registry } = setUp(peers);
  const session = new TestSession('10.0.0.1');
  registry.claim(session);
  assert.equal(session.claim, undefined);
  const recentIds = BigUint64Array.of(7n);
  replies[0]!({ number: 1_764_446_500_000, recentIds });
  assert.deepEqual(session.claim, { number: 1_764_446_500_001, replaced: undefined, recentIds });
  registry.release(session);
  assert.deepEqual(sent, ['opened 10.0.0.1', 'closed 10.0.0.1']);
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

test('a newer session of another node replaces the one here, and that one is not announced as closed', () => {
  const { peers, replies, sent } = testPeers();
  const { registry, counts } = setUp(peers);
  const session = new TestSession('10.0.0.1');
  registry.claim(session);
  replies[0]!(undefined);
  registry.replacedBy('plant1.a', 2 ** 41, { address: '10.0.0.2', node: 'ingest-1' });
  assert.equal(session.replacedBy, '10.0.0.2 on ingest-1');
  assert.equal(registry.release(session), false);
  assert.equal(counts.cluster.no.value, 1);
  assert.deepEqual(sent, ['opened 10.0.0.1']);
  // The next number is above that of the other node.
  const next = new TestSession('10.0.0.3');
  registry.claim(next);
  replies[1]!(undefined);
  assert.ok(next.claim!.number > 2 ** 41);
});
