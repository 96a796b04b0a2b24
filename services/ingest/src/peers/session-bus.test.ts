import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { fuzzSeeds } from '@tailrace/testkit/fuzz';
import { seededRandom } from '@tailrace/testkit/random';
import { createSessionNodes, type NodeSession, type SessionNode } from '../../test/session-nodes.ts';
import { hashesFromBytes } from './hash-bytes.ts';
import { claimSubject } from './subjects.ts';

const { IngestReply, IngestRequest, SessionClaim } = tailrace.v1;

/** Two nodes that know each other. */
async function pair() {
  const nodes = createSessionNodes();
  const [a, b] = [await nodes.start('ingest-0'), await nodes.start('ingest-1')];
  await nodes.clock.advance(0);
  return { ...nodes, a, b };
}

/** A message of the device that the log has confirmed on the node. */
function remember(node: SessionNode, device: string, id: string, seq: number): void {
  const record = node.records.enter(device, 0);
  node.records.remember(record, id);
  record.lastSeq = seq;
}

test('the newest session has the device on all nodes, with what the former node knew of it', async () => {
  const { clock, a, b } = await pair();
  const first = a.open('10.0.0.1');
  assert.ok(first.isOpen, 'a device that no node has is opened at once');
  remember(a, 'plant1.a', 'm1', 41);
  await clock.advance(10);
  assert.deepEqual([a.peers.holderOf('plant1.a'), b.peers.holderOf('plant1.a')], ['ingest-0', 'ingest-0']);
  const second = b.open('10.0.0.2');
  assert.equal(second.claim, undefined);
  await clock.advance(10);
  assert.equal(first.replacedBy, '10.0.0.2 on ingest-1');
  const { handOver, number } = second.claim!;
  assert.ok(number > first.number);
  assert.deepEqual([handOver?.lastSeq, handOver?.recentIds.length], [41, 1]);
  const record = b.records.enter('plant1.a', 0);
  b.records.seed(record, handOver!.recentIds);
  assert.ok(record.recent?.has('m1'));
  assert.deepEqual([a.peers.holderOf('plant1.a'), b.peers.holderOf('plant1.a')], ['ingest-1', 'ingest-1']);
  assert.equal(await b.metric('tailrace_ingest_hand_over_duration_seconds_count'), 1);
});

test('a device that reconnects to another node an hour after its link was lost repeats nothing in the log', async () => {
  const { clock, a, b } = await pair();
  const first = a.open('10.0.0.1');
  remember(a, 'plant1.a', 'm1', 41);
  a.registry.release(first);
  await clock.advance(3_500_000);
  assert.deepEqual([b.peers.find('plant1.a')?.isOpen, b.peers.holderOf('plant1.a')], [false, undefined]);
  const second = b.open('10.0.0.2');
  await clock.advance(10);
  assert.equal(second.claim?.handOver?.recentIds.length, 1);
});

test('a hand-over waits for the log, and not longer than 0.7 s', async () => {
  const { clock, a, b } = await pair();
  for (const device of ['plant1.a', 'plant1.b']) {
    a.open('10.0.0.1', device);
    a.records.enter(device, 0).unsettled = 1;
  }
  await clock.advance(10);
  const sessions = ['plant1.a', 'plant1.b'].map((device) => b.open('10.0.0.2', device));
  await clock.advance(100);
  assert.deepEqual(
    sessions.map(({ claim }) => claim),
    [undefined, undefined],
  );
  const record = a.records.peek('plant1.a')!;
  record.unsettled = 0;
  a.records.remember(record, 'm1');
  await clock.advance(20);
  assert.equal(sessions[0]!.claim?.handOver?.recentIds.length, 1);
  assert.ok(!sessions[1]!.isOpen);
  await clock.advance(700);
  assert.equal(sessions[1]!.claim?.handOver?.recentIds.length, 0);
});

test('what the log settles after a hand-over arrives at the next node, also over a third one', async () => {
  const { clock, start, a, b } = await pair();
  const c = await start('ingest-2');
  await clock.advance(10);
  a.open('10.0.0.1');
  const former = a.records.enter('plant1.a', 0);
  former.unsettled = 1;
  await clock.advance(10);
  const second = b.open('10.0.0.2');
  await clock.advance(1_000);
  const { rest } = second.claim!.handOver!;
  assert.ok(rest !== undefined);
  const moved = b.records.enter('plant1.a', 0);
  b.records.arrive(moved, rest);
  const third = c.open('10.0.0.3');
  await clock.advance(5_000);
  const last = c.records.enter('plant1.a', 0);
  c.records.arrive(last, third.claim!.handOver!.rest!);
  assert.ok(moved.arriving !== undefined && last.arriving !== undefined);
  former.unsettled = 0;
  a.records.remember(former, 'm1');
  await clock.advance(3_000);
  assert.deepEqual([moved.arriving, last.arriving], [undefined, undefined]);
  assert.ok(moved.recent?.has('m1') && last.recent?.has('m1'));
});

test('a device waits for its former node for 30 s, and not for one that is lost', async () => {
  const { clock, network, a, b } = await pair();
  const restOf = async (device: string) => {
    a.open('10.0.0.1', device);
    a.records.enter(device, 0).unsettled = 1;
    await clock.advance(10);
    const session = b.open('10.0.0.2', device);
    await clock.advance(1_000);
    let isDone = false;
    void session.claim!.handOver!.rest!.then(() => {
      isDone = true;
    });
    return () => isDone;
  };
  const isDone = await restOf('plant1.a');
  await clock.advance(25_000);
  assert.equal(isDone(), false);
  await clock.advance(6_000);
  assert.equal(isDone(), true);
  const isLost = await restOf('plant1.b');
  assert.equal(b.lost(), 0);
  await a.stop();
  network.partition('ingest-0');
  await clock.advance(2_000);
  assert.equal(isLost(), true);
  assert.ok(b.lost() > 0);
});

test('a node that has stopped, or does not reply, delays no device by more than a second', async () => {
  const { clock, network, a, b } = await pair();
  const gone = a.open('10.0.0.1', 'plant1.b');
  a.open('10.0.0.1');
  await clock.advance(10);
  // Its connection is lost, which the other node does not know yet.
  network.partition('ingest-0');
  const session = b.open('10.0.0.2');
  await clock.advance(1_000);
  assert.ok(session.isOpen);
  assert.equal(session.claim?.handOver, undefined);
  await clock.advance(3_000);
  assert.ok(b.open('10.0.0.2', 'plant1.b').isOpen, 'a node without an announcement for 3 s is not requested');
  assert.ok(gone.isOpen);
  // Afterwards each device has one session.
  network.heal('ingest-0');
  await clock.advance(10_000);
  assert.equal(gone.isOpen, false);
  assert.equal(a.registry.size, 0);
});

test('a node that starts knows the sessions of the others at once', async () => {
  const { clock, start, a } = await pair();
  for (let index = 0; index < 2_500; index++) a.open('10.0.0.1', `plant1.d${index}`);
  await clock.advance(10);
  const c = await start('ingest-2');
  // The list is made and read in several turns.
  for (let turn = 0; turn < 20; turn++) {
    await new Promise(setImmediate);
    await clock.advance(5);
  }
  for (const index of [0, 1_200, 2_499]) assert.equal(c.peers.holderOf(`plant1.d${index}`), 'ingest-0');
  assert.equal(await c.metric('tailrace_ingest_session_lists_total'), 1);
  // Nothing differs: no list is requested again.
  await clock.advance(30_000);
  assert.equal(await c.metric('tailrace_ingest_session_lists_total'), 1);
});

test('after an outage of the bus each device has one session, and every node knows where', async () => {
  const { clock, network, a, b } = await pair();
  const sessions: NodeSession[] = [];
  for (const device of ['plant1.a', 'plant1.b', 'plant1.c']) sessions.push(a.open('10.0.0.1', device));
  await clock.advance(10);
  network.partition('ingest-0');
  network.partition('ingest-1');
  await clock.advance(5_000);
  // One has moved, one has closed, one stays.
  sessions.push(b.open('10.0.0.2', 'plant1.a'));
  a.registry.release(sessions[1]!);
  sessions.push(a.open('10.0.0.1', 'plant1.d'));
  network.heal('ingest-0');
  network.heal('ingest-1');
  await clock.advance(10_000);
  assert.deepEqual(
    ['plant1.a', 'plant1.b', 'plant1.c', 'plant1.d'].map((device) => [
      a.peers.holderOf(device),
      b.peers.holderOf(device),
    ]),
    [
      ['ingest-1', 'ingest-1'],
      [undefined, undefined],
      ['ingest-0', 'ingest-0'],
      ['ingest-0', 'ingest-0'],
    ],
  );
  assert.equal(sessions[0]!.isOpen, false);
});

test('a node that has stopped is not requested, and its sessions are forgotten', async () => {
  const { clock, a, b } = await pair();
  a.open('10.0.0.1');
  await clock.advance(10);
  await a.stop();
  await clock.advance(10);
  assert.equal(b.peers.find('plant1.a'), undefined);
  assert.ok(b.open('10.0.0.2').isOpen);
});

test('a newer session has a higher number, although the clock of its node is behind', async () => {
  for (const skewMs of [-30_000, 30_000]) {
    const nodes = createSessionNodes();
    const a = await nodes.start('ingest-0', skewMs);
    const former = a.open('10.0.0.1');
    // It does not know the other node yet.
    const b = await nodes.start('ingest-1', -skewMs);
    const newer = b.open('10.0.0.2');
    await nodes.clock.advance(5_000);
    const [open, closed] = newer.isOpen ? [newer, former] : [former, newer];
    assert.deepEqual([open.isOpen, closed.isOpen], [true, false]);
    const later = (open === newer ? a : b).open('10.0.0.3');
    await nodes.clock.advance(5_000);
    assert.ok(later.isOpen);
    assert.equal(open.isOpen, false);
    assert.ok(later.number > Math.max(former.number, newer.number));
  }
});

test('the fight of two senders on two nodes is damped, and the older one works on', async () => {
  const { clock, a, b } = await pair();
  let incumbent = a.open('10.0.0.1');
  await clock.advance(10);
  for (let count = 1; count <= 3; count++) {
    const next = (count % 2 === 1 ? b : a).open(`10.0.0.${count}`);
    await clock.advance(10);
    assert.ok(next.isOpen, `${count}`);
    incumbent = next;
  }
  // The session is on ingest-1, which has counted with what the hand-over brought.
  const newcomer = a.open('10.0.0.9');
  await clock.advance(10);
  assert.deepEqual([newcomer.waitMs, incumbent.isOpen], [1_000, true]);
  await clock.advance(1_010);
  assert.deepEqual([newcomer.isOpen, incumbent.isOpen], [true, false]);
  // The same device again is no fight.
  const same = b.open('10.0.0.9', 'plant1.b', 'boot 1');
  for (let count = 0; count < 6; count++) {
    await clock.advance(10);
    const next = (count % 2 === 0 ? a : b).open('10.0.0.9', 'plant1.b', 'boot 1');
    await clock.advance(10);
    assert.ok(next.isOpen);
  }
  assert.equal(same.isOpen, false);
});

test('a nonce that one node has accepted is refused by the others', async () => {
  const { clock, a, b } = await pair();
  assert.equal(a.nonces.take('device/a', clock.now(), '12345678'), 'new');
  await new Promise(setImmediate);
  await clock.advance(10);
  assert.equal(b.nonces.take('device/a', clock.now() - 10, '12345678'), 'seen');
  assert.equal(b.nonces.take('device/a', clock.now(), '12345678'), 'new');
});

test('a client of the bus finds the node of a device by any node', async () => {
  const { clock, network, a } = await pair();
  const session = a.open('10.0.0.1');
  await clock.advance(10);
  const client = network.createBus({
    node: 'client',
    logger: (await import('@tailrace/platform/logger')).silentLogger,
  });
  await client.start();
  const find = async (device: string) => {
    const request = IngestRequest.encode({ find: { device } }).finish();
    const reply = client.request('tailrace.v1.ingest', request, { deadlineMs: 1_000 });
    await clock.advance(10);
    return IngestReply.decode((await reply)[0]!).find!;
  };
  const found = await find('plant1.a');
  assert.deepEqual([found.node, found.number, found.open], ['ingest-0', session.number, true]);
  assert.equal((await find('plant1.b')).node, '');
});

test('messages that cannot be read, and requests of an earlier start, change nothing', async () => {
  const { clock, network, a, b } = await pair();
  a.open('10.0.0.1');
  const client = network.createBus({
    node: 'client',
    logger: (await import('@tailrace/platform/logger')).silentLogger,
  });
  await client.start();
  client.publish(claimSubject('plant1.a'), Uint8Array.of(0xff, 0xff));
  client.publish(claimSubject('plant1.a'), SessionClaim.encode({ device: 'a..b', node: 'x', number: 1 }).finish());
  client.publish('tailrace.v1.ingest-node', Uint8Array.of(0x0a));
  const requests = [
    Uint8Array.of(0x0a),
    IngestRequest.encode({}).finish(),
    IngestRequest.encode({ takeOver: { boot: 'before', device: 'plant1.a' } }).finish(),
    IngestRequest.encode({ sessions: { boot: 'before' } }).finish(),
  ];
  for (const request of requests) {
    const reply = client.request('tailrace.v1.ingest.ingest-0', request, { deadlineMs: 1_000 });
    await Promise.all([assert.rejects(reply, /expected/), clock.advance(10)]);
  }
  assert.equal(a.peers.holderOf('plant1.a'), 'ingest-0');
  assert.equal(await b.metric('tailrace_ingest_invalid_session_messages_total'), 3);
});

test('of sessions opened at the same time on several nodes exactly one stays, whatever is lost and late', async () => {
  for (const seed of fuzzSeeds(100)) {
    const random = seededRandom(seed);
    const faults = { delayMs: { min: 0, max: 400 }, loss: 0.2, duplication: 0.1 };
    const nodes = createSessionNodes({ random, faults });
    const started: SessionNode[] = [];
    for (const name of ['ingest-0', 'ingest-1', 'ingest-2'])
      started.push(await nodes.start(name, Math.round((random() - 0.5) * 60_000)));
    await nodes.clock.advance(Math.round(random() * 3_000));
    const sessions: NodeSession[] = [];
    for (let count = 0; count < 3; count++) {
      sessions.push(started[Math.floor(random() * 3)]!.open(`10.0.0.${count}`, 'plant1.a', 'boot 1'));
      await nodes.clock.advance(Math.round(random() * 500));
    }
    await nodes.clock.advance(4_000);
    // From now on nothing is lost: the nodes find what they do not know.
    nodes.network.setFaults({});
    await nodes.clock.advance(12_000);
    const open = sessions.filter((session) => session.isOpen);
    assert.equal(open.length, 1, `seed ${seed}: ${sessions.map(({ replacedBy }) => replacedBy).join('; ')}`);
    const holders = new Set(started.map(({ peers }) => peers.holderOf('plant1.a')));
    assert.equal(holders.size, 1, `seed ${seed}`);
    for (const node of started) await node.stop();
  }
});

test('hashes are the same bytes on all nodes', () => {
  const hashes = BigUint64Array.of(1n, 2n ** 64n - 1n);
  assert.deepEqual(
    hashesFromBytes(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 9)),
    hashes,
  );
});
