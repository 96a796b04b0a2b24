import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Bus } from '@tailrace/bus/bus';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { silentLog } from '@tailrace/platform/log';
import { createRevocationList, type Revocations } from '@tailrace/platform/revocation';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import { randomFrom } from '../../test/cluster.ts';
import { Operators } from '../access/operators.ts';
import { Broadcasts } from './broadcasts.ts';

interface Node {
  readonly name: string;
  readonly broadcasts: Broadcasts;
  readonly operators: Operators;
  readonly revocations: Revocations;
  /** Messages of notices from others, in order. */
  readonly notices: string[];
  stop(): Promise<void>;
}

/** Nodes that only broadcast, on the memory bus under a virtual clock. They announce their state every 500 ms, over the same bus. */
function cluster(seed: number, broadcastsMax = 1_000) {
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const random = randomFrom(seed);
  const network = createMemoryNetwork({ clock, random });
  const nodes = new Map<string, Node>();
  let starts = 0;
  const start = async (name: string): Promise<Node> => {
    const bus: Bus = network.createBus({ node: name, log: silentLog });
    await bus.start();
    const notices: string[] = [];
    const revocations = createRevocationList({ clock });
    const broadcasts: Broadcasts = new Broadcasts({
      bus,
      node: name,
      era: `era${++starts}`,
      now: () => clock.monotonic(),
      askDeadlineMs: 1_000,
      broadcastsMax,
      holding: () => operators.holding(),
      digest: () => revocations.digest,
      onBroadcast: (broadcast) => operators.heard(broadcast),
    });
    const operators: Operators = new Operators({
      revocations,
      sessions: {
        endRevoked: () => 0,
        tell: (message) => void ('notice' in message && notices.push(message.notice.message)),
      },
      clock,
      send: (content) => broadcasts.send(content),
    });
    await broadcasts.start();
    await bus.subscribe('announcements', (bytes) => {
      const { from, ...state } = JSON.parse(Buffer.from(bytes).toString());
      broadcasts.announced(from, state);
    });
    const announce = () =>
      bus.publish('announcements', Buffer.from(JSON.stringify({ from: name, ...broadcasts.state })));
    const timer = clock.every(500, announce);
    announce();
    const stop = async () => {
      timer.cancel();
      operators.stop();
      await broadcasts.stop();
      await bus.close();
      nodes.delete(name);
    };
    const node = { name, broadcasts, operators, revocations, notices, stop };
    nodes.set(name, node);
    return node;
  };
  return { clock, random, network, nodes, start };
}

const listOf = (node: Node) =>
  node.revocations
    .entries()
    .map((entry) => JSON.stringify(entry))
    .sort();

test('a revocation and a notice reach every node at once, and no node twice', async () => {
  const { clock, start } = cluster(1);
  const [a, b, c] = [await start('a'), await start('b'), await start('c')];
  await clock.advance(1_000);
  a.operators.revoke({ tokenId: 't1', expiresAt: clock.now() + 60_000 });
  b.operators.revoke({ subject: 'anna', issuedBefore: clock.now() });
  c.operators.notify('warning', 'the line stops at noon');
  await clock.advance(0);
  for (const node of [a, b, c]) {
    assert.equal(node.revocations.size, 2);
    assert.deepEqual(node.notices, ['the line stops at noon']);
  }
  await clock.advance(60_000);
  assert.deepEqual(
    [a.broadcasts.counts.asks, c.notices.length],
    [2, 1],
    'each other node is asked once, when it is new',
  );
});

test('a lost last one shows by the announcement and is fetched', async () => {
  const { clock, network, start } = cluster(1);
  const [a, b] = [await start('a'), await start('b')];
  await clock.advance(1_000);
  network.setFaults({ loss: 1 });
  a.operators.revoke({ tokenId: 't1' });
  await clock.advance(0);
  assert.equal(b.revocations.size, 0);
  network.setFaults({});
  await clock.advance(1_000);
  assert.equal(b.revocations.size, 1);
});

test('a node that starts has the whole list, also what others heard before from somebody who has gone', async () => {
  const { clock, start } = cluster(1);
  const [a, b] = [await start('a'), await start('b')];
  await clock.advance(1_000);
  for (let i = 0; i < 2_500; i++) a.operators.revoke({ tokenId: `t${i}` });
  await clock.advance(1_000);
  await a.stop();
  const c = await start('c');
  const again = await start('a');
  await clock.advance(1_000);
  for (const node of [b, c, again]) assert.equal(node.revocations.size, 2_500, node.name);
});

test('what only some heard before its origin died comes to all, since nodes compare what they hold', async () => {
  const { clock, network, start } = cluster(1);
  const [a, b, c] = [await start('a'), await start('b'), await start('c')];
  await clock.advance(1_000);
  network.partition('c');
  a.operators.revoke({ tokenId: 't1' });
  await clock.advance(0);
  await a.stop();
  network.heal('c');
  assert.deepEqual([b.revocations.size, c.revocations.size], [1, 0]);
  await clock.advance(5_000);
  assert.equal(c.revocations.size, 1);
});

test('who missed more than is kept gets what still holds, and goes on from there', async () => {
  const { clock, network, start } = cluster(1, 5);
  const [a, b] = [await start('a'), await start('b')];
  await clock.advance(1_000);
  a.operators.notify('info', 'first');
  network.partition('b');
  for (let i = 0; i < 20; i++) a.operators.revoke({ tokenId: `t${i}` });
  assert.equal(a.broadcasts.kept, 5);
  network.heal('b');
  await clock.advance(1_000);
  assert.equal(b.revocations.size, 20);
  a.operators.notify('info', 'second');
  await clock.advance(0);
  assert.deepEqual(b.notices, ['first', 'second']);
});

test('a node that was away does not show its clients what is long over', async () => {
  const { clock, start } = cluster(1);
  const a = await start('a');
  a.operators.notify('info', 'old');
  await clock.advance(61_000);
  a.operators.notify('info', 'new');
  const b = await start('b');
  await clock.advance(1_000);
  assert.deepEqual(b.notices, ['new']);
});

test('what cannot be read, and strange names, are counted and cost nothing', async () => {
  const { clock, network, start } = cluster(1);
  const a = await start('a');
  const bus = network.createBus({ node: 'stranger', log: silentLog });
  await bus.start();
  for (const bytes of [Uint8Array.of(0x0a, 9), Uint8Array.of(), Buffer.from('\n\x03a.*\x12\x01e\x18\x01', 'latin1')])
    bus.publish('tailrace.v1.broadcast', bytes);
  a.broadcasts.announced('a.>', { era: 'e', broadcasts: 7, revocations: 7 });
  a.broadcasts.announced('', { era: 'e', broadcasts: 7, revocations: 7 });
  await clock.advance(1_000);
  assert.deepEqual(a.broadcasts.counts, { sent: 0, received: 0, foreign: 3, asks: 0, askFailures: 0 });
});

test('with loss, doubles, disorder, cuts and restarts every node ends with the same list, and notices come once and in order', async () => {
  for (let seed = 1; seed <= 200; seed++) await disturbed(seed);
});

async function disturbed(seed: number): Promise<void> {
  const broadcastsMax = seed % 2 === 0 ? 100 : 1 + (seed % 20);
  const { clock, random, network, nodes, start } = cluster(seed, broadcastsMax);
  const names = ['a', 'b', 'c', 'd'];
  for (const name of names) await start(name);
  await clock.advance(2_000);
  network.setFaults({
    delayMs: { min: 0, max: 40 },
    loss: 0.3,
    duplication: 0.2,
    reordering: { probability: 0.3, byMs: 400 },
  });
  const restarted = new Set<string>();
  const sent = new Map<string, string[]>(names.map((name) => [name, []]));
  for (let step = 0; step < 30; step++) {
    const name = names[Math.floor(random() * names.length)]!;
    const node = nodes.get(name)!;
    const draw = random();
    if (draw < 0.4) node.operators.revoke({ tokenId: `t${seed}-${step}` });
    else if (draw < 0.5) node.operators.revoke({ subject: `s${step % 3}`, issuedBefore: clock.now() });
    else if (draw < 0.8) {
      node.operators.notify('info', `${name}${step}`);
      sent.get(name)!.push(`${name}${step}`);
    } else if (draw < 0.9) network.partition(name);
    else if (draw < 0.95) for (const each of names) network.heal(each);
    else {
      const stopping = node.stop();
      await clock.advance(3_000);
      await stopping;
      network.heal(name);
      await start(name);
      restarted.add(name);
    }
    await clock.advance(random() * 200);
  }
  for (const name of names) network.heal(name);
  network.setFaults({});
  await clock.advance(40_000);
  const [first, ...others] = [...nodes.values()];
  for (const node of others) assert.deepEqual(listOf(node), listOf(first!), `seed ${seed}, ${node.name}`);
  for (const origin of names.filter((name) => !restarted.has(name))) {
    for (const node of nodes.values()) {
      if (node.name === origin || restarted.has(node.name)) continue;
      const heard = node.notices.filter((message) => message.startsWith(origin));
      // Only what was not kept any more may be missing.
      const expected =
        broadcastsMax === 100 ? sent.get(origin) : sent.get(origin)!.filter((message) => heard.includes(message));
      assert.deepEqual(heard, expected, `seed ${seed}: ${node.name} heard of ${origin}`);
    }
  }
  await Promise.all([Promise.all([...nodes.values()].map((node) => node.stop())), clock.advance(10_000)]);
}
