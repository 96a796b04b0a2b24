import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { rebirthName } from '@tailrace/sparkplug/metric-table';
import { encodePayload, type Metric } from '@tailrace/sparkplug/payload';
import { topicOf } from '@tailrace/sparkplug/topic';
import { fuzzed } from '@tailrace/testkit/fuzz';
import { seededRandom } from '@tailrace/testkit/random';
import { bdSeqOf, createTestHost, metricOf, startMs, unavailable } from '../../test/sparkplug-fixture.ts';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test('births and data become reports under the paths of node and device, with the times of the node', () => {
  const { intake, birth, send, presence, stored, accepted } = createTestHost();
  birth({ metrics: [metricOf('temperature', 20, { alias: 7 })] });
  send('DBIRTH', { seq: 1, device: 'd 1', metrics: [metricOf('speed', 3)] });
  send('NDATA', { seq: 2, timestamp: startMs - 5, metrics: [{ alias: 7, doubleValue: 21 }] });
  assert.deepEqual(intake.texts, ['plant.g.n/temperature=20', 'plant.g.n.d_1/speed=3', 'plant.g.n/temperature=21']);
  const { time, id, received } = intake.reports[2]!;
  assert.deepEqual([time, id, received], [startMs - 5, undefined, startMs]);
  assert.deepEqual(presence, ['+plant.g.n', '+plant.g.n.d_1']);
  assert.deepEqual(
    stored.map((each) => each.split(' ').slice(0, -1).join(' ')),
    ['plant-broker/g/n', 'plant-broker/g/n/d 1'],
  );
  assert.deepEqual(accepted, [1, 1, 1]);
});

test('historical metrics are a report of their own, marked as historical', () => {
  const { intake, birth, send } = createTestHost();
  birth({ metrics: [metricOf('t', 20)] });
  send('NDATA', { seq: 1, metrics: [metricOf('t', 18, { isHistorical: true, timestamp: startMs - 60_000 })] });
  assert.deepEqual(intake.texts, ['plant.g.n/t=20', 'plant.g.n/~t=18']);
});

test('[tck-id-operational-behavior-edge-node-termination-host-action-ndeath-devices-offline] one NDEATH makes 500 devices offline at once, with the positions of their last reports', () => {
  const { birth, send, presence } = createTestHost();
  birth();
  for (let index = 0; index < 500; index++) {
    send('DBIRTH', { seq: (index + 1) % 256, device: `d${index}`, metrics: [metricOf('t', index)] });
  }
  presence.length = 0;
  send('NDEATH', { metrics: [bdSeqOf(1)] });
  assert.equal(presence.length, 501);
  assert.deepEqual(presence.slice(0, 3), [
    '-plant.g.n death 0 -1',
    '-plant.g.n.d0 death 0 0',
    '-plant.g.n.d1 death 0 1',
  ]);
});

test('[tck-id-operational-behavior-edge-node-termination-host-action-ddeath-devices-offline] a DDEATH makes the one device offline', () => {
  const { birth, send, presence } = createTestHost();
  birth();
  send('DBIRTH', { seq: 1, device: 'a', metrics: [metricOf('t', 1)] });
  send('DBIRTH', { seq: 2, device: 'b', metrics: [metricOf('t', 1)] });
  presence.length = 0;
  send('DDEATH', { seq: 3, device: 'a' });
  assert.deepEqual(presence, ['-plant.g.n.a death 0 0']);
});

test('the end of a session is reported when the log has settled its reports', () => {
  const { birth, send, presence, intake } = createTestHost();
  birth({ metrics: [metricOf('t', 1)] });
  intake.isHeld = true;
  send('NDATA', { seq: 1, metrics: [metricOf('t', 2)] });
  send('NDEATH', { metrics: [bdSeqOf(1)] });
  assert.deepEqual(presence, ['+plant.g.n']);
  intake.settle();
  assert.deepEqual(presence, ['+plant.g.n', '-plant.g.n death 0 1']);
});

test('a message is acknowledged when all its reports and dead letters are durable', async () => {
  const { birth, send, settled, intake, letters } = createTestHost();
  intake.isHeld = true;
  birth({ ticket: 1, metrics: [metricOf('t', 1)] });
  send('NDATA', { ticket: 2, seq: 1, metrics: [metricOf('t', 2), { alias: 99, doubleValue: 1 }] });
  send('NCMD', { ticket: 3 });
  assert.deepEqual(settled, [3], 'nothing is made of a command');
  intake.settle();
  assert.deepEqual(settled, [3, 1]);
  await nextTurn();
  assert.deepEqual(settled, [3, 1, 2]);
  assert.deepEqual(
    letters.map(({ reason, topic, source }) => `${reason} ${topic} ${source}`),
    ['unknown_alias spBv1.0/g/NDATA/n plant-broker'],
  );
});

test('a message that is held in the reorder window is acknowledged after the log has what it held', async () => {
  const { birth, send, settled, intake, clock, stop } = createTestHost();
  birth({ metrics: [metricOf('t', 1)] });
  send('NDATA', { ticket: 1, seq: 2, metrics: [metricOf('t', 2)] });
  assert.deepEqual(settled, []);
  intake.isHeld = true;
  await clock.advance(5_100);
  assert.deepEqual(settled, []);
  intake.settle();
  assert.deepEqual(settled, [1]);
  assert.deepEqual(intake.texts.slice(1), ['plant.g.n/t=2']);
  send('NDATA', { ticket: 3, seq: 4, metrics: [metricOf('t', 4)] });
  intake.settle();
  assert.deepEqual(settled, [1, 3], 'unsynchronized: processed at once');
  stop();
});

test('what the log refuses is appended again until it is accepted, in the order of the messages, and nothing is acknowledged before', async () => {
  const { birth, send, settled, intake, clock, host, stop } = createTestHost();
  birth({ metrics: [metricOf('t', 0)] });
  intake.error = unavailable;
  for (let seq = 1; seq <= 3; seq++) send('NDATA', { ticket: seq, seq, metrics: [metricOf('t', seq)] });
  await clock.advance(1_000);
  assert.deepEqual(settled, []);
  assert.equal(host.isIdle, false);
  intake.error = undefined;
  send('NDATA', { ticket: 4, seq: 4, metrics: [metricOf('t', 4)] });
  await clock.advance(2_100);
  assert.deepEqual(
    intake.texts,
    [0, 1, 2, 3, 4].map((value) => `plant.g.n/t=${value}`),
  );
  assert.deepEqual(settled, [1, 2, 3, 4]);
  assert.ok(host.retried >= 2);
  assert.equal(host.isIdle, true);
  assert.equal(host.unsettledBytes, 0);
  stop();
});

test('a report that is too large for the log is a dead letter, and its message is acknowledged after it', async () => {
  const { birth, settled, intake, letters, host } = createTestHost();
  intake.error = new TailraceError('too_large', 'record: expected at most 1 MiB');
  birth({ ticket: 1, metrics: [metricOf('t', 0)] });
  intake.error = undefined;
  assert.deepEqual(settled, []);
  await nextTurn();
  assert.deepEqual(settled, [1]);
  assert.deepEqual(
    letters.map(({ reason, protocol, source, device, message }) => [reason, protocol, source, device, message]),
    [['too_large', 'sparkplug', 'plant-broker', 'plant.g.n', 'record: expected at most 1 MiB']],
  );
  assert.equal(decodeReport(letters[0]!.payload).readings[0]!.tag, 't');
  assert.equal(host.unsettledBytes, 0);
});

test('reading from the broker pauses at the limit of unsettled bytes, and continues below half of it', () => {
  const { birth, send, state, intake } = createTestHost();
  birth({ metrics: [metricOf('t', 'x')] });
  intake.isHeld = true;
  const text = 'x'.repeat(4_000);
  const metrics = Array.from({ length: 40 }, (_, index) => metricOf(`t${index}`, text));
  let sent = 0;
  while (!state.isPaused && sent < 1_000) send('NDATA', { seq: ++sent % 256, metrics });
  assert.ok(sent > 100 && sent < 110, String(sent));
  intake.settle();
  assert.equal(state.isPaused, false);
});

test('topics and payloads that are none of Sparkplug are dead letters, and acknowledged after them', async () => {
  const { receive, letters, settled, counts } = createTestHost();
  const payload = Uint8Array.of(0xff);
  const topics = ['spBv1.0/g/NDATA', 'spBv1.0/g/NDATA/n/d', 'spBv1.0/g/DDATA/n', 'spAv1.0/g/NDATA/n', 'spBv1.0/g/X/n'];
  for (const [ticket, topic] of topics.entries()) receive({ topic, payload, retain: false, ticket });
  receive({ topic: 'spBv1.0/g/NDATA/n', payload, retain: false, ticket: 9 });
  assert.deepEqual(settled, []);
  await nextTurn();
  assert.deepEqual(settled, [0, 1, 2, 3, 4, 9]);
  assert.deepEqual(
    letters.map(({ reason }) => reason),
    [...topics.map(() => 'unknown_topic'), 'malformed_sparkplug'],
  );
  assert.equal(counts.messages.invalid.value, 5);
});

test('a dead letter that the log refuses is written again, and its message is acknowledged then', async () => {
  const { receive, letters, settled, intake, clock, stop } = createTestHost();
  intake.error = unavailable;
  receive({ topic: 'spBv1.0/x', payload: Uint8Array.of(1), retain: false, ticket: 1 });
  await nextTurn();
  await clock.advance(200);
  await nextTurn();
  assert.equal(letters.length, 2);
  assert.deepEqual(settled, []);
  intake.error = undefined;
  await clock.advance(500);
  await nextTurn();
  assert.deepEqual(settled, [1]);
  stop();
});

test('a device outside of the rights, and an ID whose path another one has, are dead letters', async () => {
  const { birth, send, letters, intake } = createTestHost({ allowsDevice: (path) => !path.includes('secret') });
  birth({ node: 'secret', metrics: [metricOf('t', 1)] });
  birth({ node: 'n 1', metrics: [metricOf('t', 1)] });
  birth({ node: 'n+1'.replace('+', '.'), metrics: [metricOf('t', 2)] });
  assert.deepEqual(intake.texts, ['plant.g.n_1/t=1']);
  assert.deepEqual(
    letters.map(({ reason }) => reason),
    ['forbidden', 'path_collision'],
  );
  // The first one is gone, so the other may use the path.
  send('NDEATH', { node: 'n 1', metrics: [bdSeqOf(1)] });
  send('NDATA', { node: 'n.1', seq: 1, metrics: [metricOf('t', 3)] });
  assert.deepEqual(intake.texts.slice(1), ['plant.g.n_1/t=3']);
  await nextTurn();
});

test('[tck-id-payloads-nbirth-edge-node-descriptor] [tck-id-topic-structure-namespace-unique-edge-node-descriptor] of two edge nodes with one ID the newest birth counts, and the will of the other is ignored', () => {
  const { birth, send, presence } = createTestHost();
  birth({ bdSeq: 1 });
  birth({ bdSeq: 7 });
  send('NDEATH', { metrics: [bdSeqOf(1)] });
  assert.deepEqual(presence, ['+plant.g.n', '+plant.g.n']);
  send('NDEATH', { metrics: [bdSeqOf(7)] });
  assert.deepEqual(presence.slice(2), ['-plant.g.n death 0 -1']);
});

test('a passive host sends nothing, whatever it misses', async () => {
  const { send, published, clock, host, stop } = createTestHost();
  host.opened();
  send('NDATA', { seq: 5, metrics: [{ alias: 1, doubleValue: 1 }] });
  await clock.advance(10_000);
  assert.equal(host.connecting(), undefined);
  assert.deepEqual(published, []);
  stop();
});

test('[tck-id-operational-behavior-host-reordering-rebirth] an active host requests the birth of a node after the reorder window, once', async () => {
  const { birth, send, published, clock, host, counts, stop } = createTestHost({ role: 'active' });
  host.opened();
  birth();
  send('NDATA', { seq: 2 });
  await clock.advance(4_900);
  assert.deepEqual(published, []);
  await clock.advance(300);
  assert.deepEqual(published, ['NCMD n']);
  assert.equal(counts.rebirths.gap.value, 1);
  birth({ seq: 0 });
  await clock.advance(60_000);
  assert.deepEqual(published, ['NCMD n']);
  stop();
});

test('[tck-id-operational-behavior-host-reordering-success] the missing message within the window is processed in its order, and no birth is requested', async () => {
  const { birth, send, published, clock, host, intake, stop } = createTestHost({ role: 'active' });
  host.opened();
  birth();
  send('NDATA', { seq: 2, metrics: [metricOf('t', 2)] });
  await clock.advance(4_000);
  send('NDATA', { seq: 1, metrics: [metricOf('t', 1)] });
  await clock.advance(10_000);
  assert.deepEqual(intake.texts, ['plant.g.n/t=1', 'plant.g.n/t=2']);
  assert.deepEqual(published, []);
  stop();
});

test('after a restart 1,000 nodes are asked once each, 50 a second together, and a node that does not answer ever more rarely', async () => {
  const { send, published, clock, host, stop } = createTestHost({ role: 'active' });
  host.opened();
  for (let index = 0; index < 1_000; index++) send('NDATA', { node: `n${index}`, seq: 7, metrics: [metricOf('t', 1)] });
  await clock.advance(1_000);
  assert.ok(published.length <= 60, String(published.length));
  await clock.advance(19_000);
  assert.ok(published.length <= 1_010, String(published.length));
  const asked = new Set(published);
  assert.ok(asked.size > 900, String(asked.size));
  stop();
  const alone = createTestHost({ role: 'active' });
  alone.host.opened();
  alone.send('NDATA', { seq: 7, metrics: [metricOf('t', 1)] });
  await alone.clock.advance(600_000);
  assert.ok(alone.published.length <= 10, String(alone.published.length));
  alone.stop();
});

test('a node without the metric for it is not requested to publish its birth', async () => {
  const { birth, send, published, clock, host, counts, stop } = createTestHost({ role: 'active' });
  host.opened();
  birth({ hasRebirth: false });
  send('NDATA', { seq: 2 });
  await clock.advance(20_000);
  assert.deepEqual(published, []);
  assert.equal(counts.sparkplug.rebirthsImpossible, 1);
  stop();
});

test('[tck-id-conformance-primary-host] a primary host has its death as the will, and publishes its birth first, then its death before a disconnect', async () => {
  const { host, published, receive, send, clock, stop } = createTestHost({ role: 'primary' });
  send('NDATA', { seq: 1, metrics: [metricOf('t', 1)] });
  const will = host.connecting()!;
  assert.deepEqual(
    [will.topic, will.qos, will.retain, String(Buffer.from(will.payload))],
    ['spBv1.0/STATE/h1', 1, true, `{"online":false,"timestamp":${startMs}}`],
  );
  await clock.advance(500);
  assert.deepEqual(published, []);
  host.opened();
  assert.deepEqual(published, [`STATE h1 1true {"online":true,"timestamp":${startMs}}`]);
  await clock.advance(500);
  assert.equal(published[1], 'NCMD n');
  const state = (text: string) =>
    receive({ topic: 'spBv1.0/STATE/h1', payload: Buffer.from(text), retain: false, ticket: -1 });
  state(`{"online":true,"timestamp":${startMs}}`);
  state('{"online":false,"timestamp":5}');
  await clock.advance(1_000);
  assert.equal(published.filter((each) => each === published[0]).length, 2);
  host.stop();
  assert.equal(published.at(-1), `STATE h1 1true {"online":false,"timestamp":${startMs + 2_000}}`);
  stop();
});

test('after its reconnect an active host asks the nodes that do not continue, and takes those offline that do not answer', async () => {
  const { birth, send, published, presence, clock, host, stop } = createTestHost({ role: 'active' });
  host.opened();
  for (const node of ['lost', 'quiet', 'alive']) birth({ node });
  send('DBIRTH', { node: 'lost', device: 'd', seq: 1 });
  host.disconnected();
  host.opened();
  send('NDATA', { node: 'alive', seq: 1 });
  await clock.advance(6_500);
  assert.deepEqual(published.sort(), ['NCMD lost', 'NCMD quiet']);
  birth({ node: 'quiet' });
  presence.length = 0;
  await clock.advance(60_000);
  assert.deepEqual(presence, ['-plant.g.lost lost 0 -1', '-plant.g.lost.d lost 0 -1']);
  presence.length = 0;
  send('DDATA', { node: 'lost', device: 'd', seq: 2, metrics: [metricOf('t', 1)] });
  assert.deepEqual(presence, ['+plant.g.lost', '+plant.g.lost.d']);
  stop();
});

const storedBirth = (node: string, hasRebirth = true) => ({
  ...{ group: 'g', node, device: undefined },
  bytes: encodePayload({
    ...{ timestamp: startMs - 9, seq: 0 },
    metrics: [bdSeqOf(1), metricOf('t', 1), ...(hasRebirth ? [metricOf(rebirthName, false)] : [])],
  }),
});

test('after a restart an active host asks the nodes that send nothing, so that no value of before stays', async () => {
  const births = [storedBirth('quiet'), storedBirth('alive'), storedBirth('simple', false)];
  const { birth, send, published, host, clock, intake, counts, stop } = createTestHost({ role: 'active', births });
  host.opened();
  assert.equal(host.unconfirmed, 3);
  birth({ node: 'alive' });
  await clock.advance(4_000);
  assert.deepEqual([published, host.unconfirmed], [[], 2]);
  await clock.advance(2_500);
  assert.deepEqual(published, ['NCMD quiet'], 'once, and none without the metric for it');
  birth({ node: 'quiet', metrics: [metricOf('t', 2)] });
  assert.deepEqual(intake.texts, ['plant.g.quiet/t=2']);
  send('NDATA', { node: 'simple', seq: 7, metrics: [metricOf('t', 3)] });
  assert.deepEqual([host.unconfirmed, counts.sparkplug.startsWithoutBirth], [0, 1]);
  stop();
});

test('a passive host shows the nodes whose messages may be missing after a restart', async () => {
  const births = [storedBirth('a'), storedBirth('b')];
  const { send, published, host, clock, counts, stop } = createTestHost({ births });
  host.opened();
  await clock.advance(90_000);
  assert.deepEqual([host.unconfirmed, published], [2, []]);
  send('NDATA', { node: 'a', seq: 7, metrics: [metricOf('t', 3)] });
  assert.deepEqual([host.unconfirmed, counts.sparkplug.startsWithoutBirth], [1, 1]);
  stop();
});

test('a node whose request had to wait behind those of others is not offline before it was asked', async () => {
  const { birth, published, presence, clock, host, stop } = createTestHost({ role: 'active' });
  host.opened();
  for (let index = 0; index < 4_000; index++) birth({ node: `n${index}`, metrics: [] });
  host.disconnected();
  host.opened();
  presence.length = 0;
  await clock.advance(65_000);
  const asked = new Set(published.map((each) => each.split(' ')[1]));
  const lost = presence.map((each) => /n\d+/.exec(each)![0]);
  assert.ok(lost.length > 0 && asked.size < 4_000);
  assert.deepEqual(
    lost.filter((node) => !asked.has(node)),
    [],
  );
  stop();
});

test('stored births resolve the aliases of a node after a restart', () => {
  const bytes = (metrics: object[]) => encodePayload({ timestamp: startMs - 9, seq: 0, metrics });
  const births = [
    { group: 'g', node: 'n', device: undefined, bytes: bytes([bdSeqOf(1), metricOf('t', 1, { alias: 1 })]) },
    { group: 'g', node: 'n', device: 'd', bytes: bytes([metricOf('u', 1, { alias: 2 })]) },
  ];
  const { send, intake, letters } = createTestHost({ births });
  assert.deepEqual(intake.texts, [], 'an earlier run has appended them');
  send('NDATA', { seq: 9, metrics: [{ alias: 1, doubleValue: 2 }] });
  send('DDATA', { seq: 10, device: 'd', metrics: [{ alias: 2, doubleValue: 3 }] });
  assert.deepEqual(intake.texts, ['plant.g.n/t=2', 'plant.g.n.d/u=3']);
  assert.deepEqual(letters, []);
});

test('a node without a message for a day is removed, and comes back with its next one', async () => {
  const { birth, presence, clock, host, stop } = createTestHost();
  birth();
  await clock.suspend(24 * 3_600_000 + 1_000);
  assert.equal(host.nodes, 0);
  assert.deepEqual(presence, ['+plant.g.n', '-plant.g.n timeout 0 -1']);
  birth();
  assert.equal(host.nodes, 1);
  stop();
});

test('at a stop the sessions get the time in which another node of ingest takes over', () => {
  const { birth, presence, host } = createTestHost();
  birth({ metrics: [metricOf('t', 1)] });
  host.stop();
  assert.deepEqual(presence, ['+plant.g.n', '-plant.g.n drain 30000 0']);
});

test('whatever a broker sends, the host goes on, and acknowledges each message', async () => {
  const { receive, settled, intake, clock, host, stop } = createTestHost({ role: 'primary' });
  host.connecting();
  host.opened();
  const levels = [
    'spBv1.0',
    'g',
    'NBIRTH',
    'NDATA',
    'NDEATH',
    'DBIRTH',
    'DDATA',
    'DDEATH',
    'NCMD',
    'STATE',
    'n',
    'd',
    '',
  ];
  const random = seededRandom(fuzzed().seed);
  let ticket = 0;
  for (let run = 0; run < 5_000; run++) {
    const pick = (count: number) => Math.floor(random() * count);
    const type = levels[2 + pick(7)]!;
    const isValid = random() < 0.8;
    const device = type.startsWith('D') ? '/d' : '';
    const topic = isValid
      ? `spBv1.0/g/${type}/n${device}`
      : Array.from({ length: 1 + pick(6) }, () => levels[pick(levels.length)]!).join('/');
    const whole = encodePayload({
      timestamp: startMs + run,
      seq: run % 256,
      metrics: [bdSeqOf(1), metricOf('t', run, { alias: 5 }), metricOf('text', 'x', { isHistorical: true })],
    });
    const payload = whole.slice(0, random() < 0.5 ? whole.length : pick(whole.length));
    for (let flips = pick(4); flips > 0 && payload.length > 0; flips--) payload[pick(payload.length)] = pick(256);
    receive({ topic, payload, retain: random() < 0.1, ticket: ticket++ });
    if (run % 100 === 0) await clock.advance(700);
  }
  await clock.advance(10_000);
  await nextTurn();
  assert.equal(settled.length, ticket);
  assert.equal(new Set(settled).size, ticket);
  assert.ok(intake.reports.length > 500, String(intake.reports.length));
  assert.equal(host.isIdle, true);
  assert.equal(host.heldBytes, 0);
  stop();
});

// Several nodes of ingest

const both = ['ingest-0', 'ingest-1'];

/** Two hosts of one broker, which receive the same. */
function twoHosts() {
  const hosts = both.map((ingestNode) => createTestHost({ hasPeers: true, ingestNode, role: 'active' }));
  for (const { host } of hosts) {
    host.setOwners(both);
    host.opened();
  }
  return hosts;
}

test('each node is appended by one of the hosts, with message IDs that are the same on both', async () => {
  const hosts = twoHosts();
  for (const { birth, send } of hosts) {
    for (let index = 0; index < 100; index++) {
      birth({ node: `n${index}`, metrics: [metricOf('t', 1)] });
      send('NDATA', { node: `n${index}`, seq: 2, metrics: [metricOf('t', 2)] });
    }
  }
  const births = hosts.map(({ intake }) => intake.texts);
  assert.equal(births[0]!.length + births[1]!.length, 100);
  assert.ok(births[0]!.length > 20 && births[1]!.length > 20);
  for (const { clock } of hosts) await clock.advance(10_000);
  assert.equal(hosts[0]!.published.length + hosts[1]!.published.length >= 100, true);
  assert.deepEqual(
    new Set([...hosts[0]!.published, ...hosts[1]!.published]).size,
    100,
    'only the owner requests a birth',
  );
  for (const { stop } of hosts) stop();
});

test('the host that takes over appends what the other may not have appended, with the same message IDs, and starts the sessions', async () => {
  const hosts = twoHosts();
  for (const { birth } of hosts) birth({ metrics: [metricOf('t', 1)] });
  const [owner, other] = hosts[0]!.intake.reports.length === 1 ? hosts : [...hosts].reverse();
  for (const { send } of hosts) send('NDATA', { seq: 1, metrics: [metricOf('t', 2)] });
  assert.deepEqual(other!.intake.texts, []);
  assert.deepEqual([other!.presence, other!.stored], [[], []]);
  const name = both[hosts.indexOf(other!)]!;
  other!.host.setOwners([name]);
  const idsOf = ({ intake }: (typeof hosts)[number]) => intake.reports.map(({ id }) => id);
  assert.deepEqual(idsOf(other!), idsOf(owner!));
  assert.equal(new Set(idsOf(other!)).size, 2);
  assert.deepEqual(other!.presence, ['+plant.g.n']);
  assert.equal(other!.stored.length, 1);
  assert.equal(other!.counts.takenOver.value, 1);
  // What is older than ten seconds was appended by the other one for sure.
  other!.host.setOwners(both);
  await other!.clock.advance(11_000);
  other!.host.setOwners([name]);
  assert.equal(other!.intake.reports.length, 2);
  for (const { stop } of hosts) stop();
});

test('a death while the owner is gone, and not noticed yet, is published by the host that takes over', async () => {
  const hosts = twoHosts();
  for (const { birth, send } of hosts) {
    birth();
    send('DBIRTH', { seq: 1, device: 'd' });
  }
  const [owner, other] = hosts[0]!.presence.length > 0 ? hosts : [...hosts].reverse();
  owner!.stop();
  other!.send('NDEATH', { metrics: [bdSeqOf(1)] });
  assert.deepEqual(other!.presence, []);
  await other!.clock.advance(3_500);
  other!.host.setOwners([both[hosts.indexOf(other!)]!]);
  assert.deepEqual(other!.presence, [
    ...['+plant.g.n', '+plant.g.n.d', '-plant.g.n death 0 -1', '-plant.g.n.d death 0 -1'],
  ]);
  other!.stop();
});

test('a birth that waits at the former owner is replaced there by the next one, and cannot overwrite that of the owner', () => {
  const hosts = twoHosts();
  for (const { birth } of hosts) birth();
  const [owner, other] = hosts[0]!.stored.length > 0 ? hosts : [...hosts].reverse();
  const name = both[hosts.indexOf(other!)]!;
  for (const { host } of hosts) host.setOwners([name]);
  owner!.pending.add('plant-broker/g/n');
  owner!.stored.length = 0;
  owner!.birth({ bdSeq: 2 });
  assert.equal(owner!.stored.length, 1);
  owner!.pending.clear();
  owner!.birth({ bdSeq: 3 });
  assert.equal(owner!.stored.length, 1, 'others are stored by the owner alone');
  for (const { stop } of hosts) stop();
});

test('a node whose clock stands still gets distinct message IDs for distinct messages', () => {
  const { host, birth, send, intake } = createTestHost({ hasPeers: true });
  host.setOwners(['ingest-0']);
  birth({ timestamp: startMs, metrics: [metricOf('t', 0)] });
  for (let n = 1; n <= 512; n++) send('NDATA', { timestamp: startMs, seq: n % 256, metrics: [metricOf('t', n)] });
  assert.equal(intake.reports.length, 513);
  assert.equal(new Set(intake.reports.map(({ id }) => id)).size, 513);
});

test('the births, nodes and devices of one tenant use half of a shared host at most: those of another one are taken', () => {
  const { host, receive, letters } = createTestHost({ prefix: '', isSharedByTenants: true });
  let time = startMs;
  const publish = (
    type: 'NBIRTH' | 'DBIRTH',
    group: string,
    node: string,
    metrics: readonly Metric[],
    device?: string,
  ) => {
    const topic = topicOf({ type, group, node, ...(device === undefined ? {} : { device }) });
    const payload = encodePayload({ timestamp: ++time, seq: type === 'NBIRTH' ? 0 : 1, metrics: [...metrics] });
    receive({ topic, payload, retain: false, ticket: -1 });
  };
  const large = Array.from({ length: 50 }, (_, n) => ({ ...metricOf('x'.repeat(20_000) + n, 1) }));
  for (let n = 0; n < 80; n++) publish('NBIRTH', 'hostile', `n${n}`, [bdSeqOf(1), ...large]);
  const { definitionBytes, nodes, paths } = host.limits;
  assert.ok(definitionBytes.used <= 134_217_728 && definitionBytes.used > 130_000_000, `${definitionBytes.used}`);
  assert.match(letters.at(-1)!.message, /births: expected at most 134217728 bytes of one tenant/);
  assert.equal(letters.at(-1)!.source, 'hostile', 'the rate of dead letters is by source');
  publish('NBIRTH', 'honest', 'cell1', [bdSeqOf(1), ...large]);
  assert.ok(host.commandMessage({ group: 'honest', node: 'cell1' }, [{ name: large[0]!.name!, value: 2 }]));
  for (let n = 80; n <= 5_000; n++) publish('NBIRTH', 'hostile', `n${n}`, [bdSeqOf(1)]);
  assert.match(letters.at(-1)!.message, /expected at most 5000 edge nodes of one tenant/);
  assert.equal(letters.at(-1)!.source, 'hostile');
  assert.deepEqual([nodes.used, nodes.mostOfOne()], [5_001, 5_000]);
  for (let n = 0; paths.usedBy('hostile') < 50_000; n++)
    publish('DBIRTH', 'hostile', `n${n % 5_000}`, [], `d${Math.floor(n / 5_000)}`);
  publish('NBIRTH', 'honest', 'cell2', [bdSeqOf(1), metricOf('t', 1)]);
  publish('DBIRTH', 'honest', 'cell2', [metricOf('t', 1)], 'drive1');
  assert.equal(paths.usedBy('honest'), 3);
});

test('what a node has of the limits is free when it is removed', async () => {
  const { host, birth, send, clock, stop } = createTestHost();
  birth({ metrics: [metricOf('t', 1)] });
  send('DBIRTH', { seq: 1, device: 'a', metrics: [metricOf('t', 1)] });
  const used = () => [host.limits.nodes.used, host.limits.paths.used, host.limits.definitionBytes.used];
  assert.deepEqual(used().slice(0, 2), [1, 2]);
  assert.ok(used()[2]! > 600);
  // A birth again takes no more.
  const before = used();
  birth({ bdSeq: 2, metrics: [metricOf('t', 1)] });
  // The device is offline until its own birth.
  assert.deepEqual(used(), [1, 1, before[2]]);
  await clock.suspend(25 * 3_600_000);
  assert.deepEqual(used(), [0, 0, 0]);
  stop();
});
