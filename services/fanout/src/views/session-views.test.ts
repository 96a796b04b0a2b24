import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Subscribe } from '@tailrace/protocol/client-message';
import type { ServerMessage } from '@tailrace/protocol/server-message';
import { createLocalNode, type LocalNode } from '../../test/local-node.ts';
import { logReport } from '../../test/records.ts';
import { openedSession } from '../../test/session-client.ts';
import type { Encoding } from './view-options.ts';

type Options = Omit<Subscribe, 'id' | 'channel'>;
type Client = Awaited<ReturnType<typeof openedSession>>;

async function watching(node: LocalNode, channel: string, options: Options, encoding: Encoding = 'json') {
  const client = await openedSession(node, '>', { encoding });
  client.send({ subscribe: { id: 'a', channel, ...options } });
  return client;
}

const dataOf = (messages: readonly ServerMessage[]) =>
  messages.flatMap((message) => ('data' in message ? [message.data] : []));

/** Removes and returns the reports that the client has received: of each its position and values. */
const takeReports = (client: Client) =>
  dataOf(client.received.splice(0)).flatMap(({ reports }) =>
    reports.map(({ seq, readings }) => [seq, Object.fromEntries(readings.map(({ tag, value }) => [tag, value]))]),
  );

const viewOf = (client: Client) => {
  const [message] = client.received;
  assert.ok(message !== undefined && 'subscribed' in message);
  return message.subscribed.view;
};

test('clients with equal options share a view, and so one frame; with other options they do not', async () => {
  const node = createLocalNode({ partitions: 1 });
  const first = await watching(node, 'p.>', { tags: ['t', 'u'], deadband: { absolute: 1 } });
  const second = await watching(node, 'p.>', { deadband: { absolute: 1 }, tags: ['u', 't'] });
  const other = await watching(node, 'p.>', { tags: ['t'] });
  const proto = await watching(node, 'p.>', { tags: ['t', 'u'], deadband: { absolute: 1 } }, 'proto');
  assert.equal(viewOf(first), viewOf(second));
  assert.equal(new Set([first, other, proto].map(viewOf)).size, 3);
  for (const client of [first, second, other, proto]) client.kinds();
  node.report('p.d', { t: 1, u: 2, v: 3 });
  assert.equal(node.published.length, 3);
  assert.deepEqual(takeReports(first), [[0, { t: 1, u: 2 }]]);
  assert.deepEqual(takeReports(second), [[0, { t: 1, u: 2 }]]);
  assert.deepEqual(takeReports(other), [[0, { t: 1 }]]);
  assert.deepEqual(takeReports(proto), [[0, { t: 1, u: 2 }]]);
});

test('with tags, snapshot and live data have these readings only, and a report without any is not sent', async () => {
  for (const encoding of ['json', 'proto'] as const) {
    const node = createLocalNode({ partitions: 1 });
    node.report('p.d', { t: 1, v: 1 });
    node.report('p.e', { v: 1 });
    const client = await watching(node, 'p.>', { tags: ['t'] }, encoding);
    const [subscribed] = client.received;
    assert.ok(subscribed !== undefined && 'subscribed' in subscribed);
    assert.equal(subscribed.subscribed.snapshot, 2, 'known devices; one has no reading to send');
    assert.deepEqual(takeReports(client), [[0, { t: 1 }]]);
    node.report('p.d', { v: 2 });
    node.report('p.d', { v: 2, t: 2 });
    assert.deepEqual(takeReports(client), [[3, { t: 2 }]]);
    assert.equal(node.views.counts.untagged, 1);
  }
});

test('with a deadband the snapshot is exact, and what follows is compared with it', async () => {
  const node = createLocalNode({ partitions: 1 });
  node.report('p.d', { t: 10, u: 'on' });
  node.report('p.d', { t: 10.5 });
  const client = await watching(node, 'p.d', { deadband: { absolute: 1 } });
  assert.deepEqual(takeReports(client), [
    [0, { t: 10, u: 'on' }],
    [1, { t: 10.5 }],
  ]);
  node.report('p.d', { t: 11.4, u: 'on' });
  assert.deepEqual(takeReports(client), []);
  assert.equal(node.views.counts.heldBack, 1);
  const late = await watching(node, 'p.d', { deadband: { absolute: 1 } });
  assert.deepEqual(takeReports(late).at(-1), [2, { t: 11.4, u: 'on' }]);
  // Within the deadband of the late client, not of the early one: it is sent to both.
  node.report('p.d', { t: 11.6 });
  assert.deepEqual(takeReports(client), [[3, { t: 11.6 }]]);
  assert.deepEqual(takeReports(late), [[3, { t: 11.6 }]]);
});

test('with delta a client that joins later starts from its snapshot and arrives at the same values', async () => {
  for (const encoding of ['json', 'proto'] as const) {
    const node = createLocalNode({ partitions: 1 });
    const early = await watching(node, 'p.d', { delta: true }, encoding);
    node.report('p.d', { t: 1, u: 1 });
    node.report('p.d', { t: 2, u: 1 });
    const late = await watching(node, 'p.d', { delta: true }, encoding);
    assert.deepEqual(takeReports(late), [[1, { t: 2, u: 1 }]]);
    assert.deepEqual(takeReports(early), [
      [0, { t: 1, u: 1 }],
      [1, { t: 2 }],
    ]);
    node.report('p.d', { t: 2, u: 5 });
    node.report('p.d', { t: 2, u: 5 });
    const expected = [
      [2, { u: 5 }],
      [3, {}],
    ];
    assert.deepEqual(takeReports(early), expected);
    assert.deepEqual(takeReports(late), expected);
  }
});

test('with a rate, snapshot and live data join without a gap and without an older report', async () => {
  const node = createLocalNode({ partitions: 1 });
  const early = await watching(node, 'p.>', { maxRate: 1 });
  for (let i = 0; i < 3; i++) node.report('p.d', { t: i });
  const late = await watching(node, 'p.>', { maxRate: 1 });
  for (let i = 3; i < 6; i++) node.report('p.d', { t: i });
  await node.clock.advance(1_000);
  assert.deepEqual(takeReports(early), [
    [0, { t: 0 }],
    [2, { t: 2 }],
    [5, { t: 5 }],
  ]);
  assert.deepEqual(takeReports(late), [
    [2, { t: 2 }],
    [5, { t: 5 }],
  ]);
});

test('with its last client a view is removed, with its timer and its state', async () => {
  const node = createLocalNode({ partitions: 1 });
  const plain = await watching(node, 'p.d', {});
  const first = await watching(node, 'p.d', { maxRate: 1, deadband: { absolute: 0 } });
  const second = await watching(node, 'p.d', { maxRate: 1, deadband: { absolute: 0 } });
  for (let i = 0; i < 3; i++) node.report('p.d', { t: i });
  const channel = node.channels.find('p.d') ?? assert.fail();
  first.send({ unsubscribe: { id: 'a' } });
  assert.deepEqual([channel.views.size, node.views.shaped, node.views.lastSent.readings], [2, 1, 1]);
  second.session.onClose();
  assert.deepEqual([...channel.views.keys()], ['json']);
  assert.deepEqual([node.views.size, node.views.shaped, node.views.lastSent.readings], [1, 0, 0]);
  await node.clock.advance(0);
  assert.deepEqual([node.views.paced.bytes, node.clock.pending()], [0, 0]);
  plain.kinds();
  node.report('p.d', { t: 9 });
  assert.equal(takeReports(plain).length, 1);
});

test('the limit of views with options is of one connection, and does not count views without options', async () => {
  const node = createLocalNode();
  const client = await openedSession(node, '>', { viewsPerConnectionMax: 2 });
  client.send({ subscribe: { id: 'a', channel: 'p.d', maxRate: 1 } });
  client.send({ subscribe: { id: 'b', channel: 'p.d', maxRate: 2 } });
  client.send({ subscribe: { id: 'c', channel: 'p.new', maxRate: 3 } });
  assert.equal(client.session.views, 2);
  const [error] = client.errors();
  assert.deepEqual([error?.id, error?.code], ['c', 'limit_reached']);
  assert.match(error?.message ?? '', /expected at most 2 subscriptions with maxRate/);
  assert.equal(node.channels.find('p.new'), undefined, 'the refused channel is removed');
  client.send({ subscribe: { id: 'c', channel: 'p.d' } });
  assert.deepEqual(client.kinds(), ['subscribed']);
  for (let rate = 1; rate <= 200; rate++) {
    const other = await watching(node, 'p.d', { maxRate: rate });
    assert.deepEqual(other.kinds(), ['subscribed']);
  }
  client.send({ unsubscribe: { id: 'a' } });
  client.send({ subscribe: { id: 'a', channel: 'p.d', maxRate: 3 } });
  assert.deepEqual(client.kinds(), ['unsubscribed', 'subscribed']);
});

test('each subscription of a connection to the same channel has its own view, which it shares with other connections', async () => {
  const node = createLocalNode();
  const [one, other] = [await openedSession(node, '>', { subscriptionsMax: 99 }), await openedSession(node, '>')];
  const subscribe = (client: typeof one, id: string) => {
    client.send({ subscribe: { id, channel: 'p.d', snapshot: false } });
    const [message] = client.received.splice(0);
    return message !== undefined && 'subscribed' in message ? message.subscribed.view : assert.fail();
  };
  const views = ['a', 'b', 'c', 'd'].map((id) => subscribe(one, id));
  assert.equal(new Set(views).size, 4);
  assert.deepEqual([subscribe(other, 'a'), subscribe(other, 'b')], views.slice(0, 2));
  for (const id of ['b', 'a']) one.send({ unsubscribe: { id } });
  one.received.splice(0);
  const again = [subscribe(one, 'e'), subscribe(one, 'f'), subscribe(one, 'g')];
  assert.deepEqual(again.slice(0, 2), views.slice(0, 2));
  assert.ok(!views.includes(again[2]!));
  assert.equal(node.channels.find('p.d')!.views.size, 5);
  for (const client of [one, other]) client.session.onClose();
  assert.deepEqual([node.channels.size, node.views.size], [0, 0]);
});

test('subscribing to one channel a thousand times costs a thousand times the first', async () => {
  const node = createLocalNode();
  const client = await openedSession(node, '>', { subscriptionsMax: 4_000 });
  const subscribe = (from: number, to: number) => {
    const start = process.cpuUsage();
    for (let i = from; i < to; i++) client.send({ subscribe: { id: `${i}`, channel: 'p.d' } });
    const { user, system } = process.cpuUsage(start);
    return user + system;
  };
  /** The CPU time of 500 subscriptions, µs: the least of five iterations. */
  const cost = (from: number) => {
    let least = Number.POSITIVE_INFINITY;
    for (let iteration = 0; iteration < 5; iteration++) {
      least = Math.min(least, subscribe(from, from + 500));
      for (let i = from; i < from + 500; i++) client.send({ unsubscribe: { id: `${i}` } });
    }
    return least;
  };
  subscribe(0, 500);
  const early = cost(500);
  subscribe(500, 3_500);
  const late = cost(3_500);
  subscribe(3_500, 4_000);
  assert.ok(late < 4 * early, `500 more take ${late} µs after 3,500, and ${early} µs after 500`);
  assert.equal(client.session.subscriptions, 4_000);
});

test('invalid options are rejected under the id of their subscription, and the connection stays open', async () => {
  for (const encoding of ['json', 'proto'] as const) {
    const node = createLocalNode();
    const client = await openedSession(node, '>', { encoding });
    client.send({ subscribe: { id: 'a', channel: 'p.d', maxRate: 0 } });
    client.send({ subscribe: { id: 'a', channel: 'p.d', align: 100, delta: true } });
    const errors = client.errors();
    assert.deepEqual(
      errors.map(({ id, code }) => [id, code]),
      [
        ['a', 'invalid_message'],
        ['a', 'invalid_message'],
      ],
    );
    assert.match(errors[0]?.message ?? '', /maxRate: expected .*, got 0$/);
    assert.deepEqual([client.closes, node.channels.size, node.views.size], [[], 0, 0]);
    client.send({ subscribe: { id: 'a', channel: 'p.d', maxRate: 1 } });
    assert.deepEqual(client.kinds(), ['subscribed']);
  }
});

test('the history that one client of a view receives does not change what the others receive', async () => {
  const node = createLocalNode({ partitions: 1 });
  const client = await watching(node, 'p.d', { deadband: { absolute: 1 }, delta: true });
  node.report('p.d', { t: 1, u: 1 });
  const view = [...(node.channels.find('p.d')?.views.values() ?? [])][0] ?? assert.fail();
  const history = [0, 0.5, 3, 1].map((t, seq) => logReport('p.d', seq, { t }));
  assert.deepEqual(
    [...view.shaped(history)].map(({ seq }) => seq),
    [0, 2, 3],
  );
  client.received.length = 0;
  node.report('p.d', { t: 1, u: 1 });
  assert.deepEqual(takeReports(client), []);
});
