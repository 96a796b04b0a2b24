import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { TailraceError } from '@tailrace/protocol/error';
import { positionsFromToken } from '@tailrace/protocol/position';
import { serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/server-message';
import { createLocalNode, type LocalNode } from '../../test/local-node.ts';
import { TopicSubscriber } from '../../test/topic-subscriber.ts';
import type { Encoding } from '../views/view-options.ts';
import { LingeringChannels } from './lingering-channels.ts';
import type { Subscription } from './subscription.ts';

type Publication = readonly [device: string, seq: number, snapshot: boolean];

function publicationsIn(frame: string | Uint8Array): Publication[] {
  const message = typeof frame === 'string' ? serverMessageFromJson(frame) : serverMessageFromBytes(frame);
  assert.ok(message !== undefined && 'data' in message);
  const { reports, snapshot = false } = message.data;
  return reports.map(({ device, seq }) => [device, seq, snapshot]);
}

/** A subscriber on its view's topic, and what it received. */
class Client extends TopicSubscriber {
  readonly received: Publication[] = [];
  readonly frames: (string | Uint8Array)[] = [];
  readonly refused: TailraceError[] = [];
  subscription: Subscription | undefined;

  constructor(node: LocalNode, channel: string, options: { encoding?: Encoding; snapshot?: boolean } = {}) {
    super(node, 'test', options.encoding ?? 'json');
    const request = { id: 'a', channel, snapshot: options.snapshot ?? true };
    this.subscription = node.hub.subscribe(this, request, (error) => this.refused.push(error));
  }

  receive(frame: string | Uint8Array): void {
    this.frames.push(frame);
    this.received.push(...publicationsIn(frame));
  }
}

const seqs = (client: Client) => client.received.map(([, seq]) => seq);

test('a client gets the last values, then every report after them', () => {
  const node = createLocalNode({ partitions: 1 });
  node.report('p.d', 1);
  node.report('p.d', 2);
  node.report('p.e', 3);
  const client = new Client(node, 'p.>');
  node.report('p.e', 4);
  node.report('q.f', 5);
  node.report('p.d', 6);
  assert.deepEqual(client.received, [
    ['p.d', 1, true],
    ['p.e', 2, true],
    ['p.e', 3, false],
    ['p.d', 5, false],
  ]);
  assert.equal(client.start?.devices, 2);
  assert.equal(client.start?.epoch, 'epoch-1');
});

test('the position of a snapshot is the one up to which it is complete', () => {
  const node = createLocalNode({ partitions: 1 });
  const positionOf = (client: Client) => positionsFromToken(client.start?.position);
  assert.deepEqual(positionOf(new Client(node, 'p.>')).entries(), [[0, -1]]);
  node.report('p.d', 1);
  const { seq } = node.report('q.e', 2);
  assert.equal(positionOf(new Client(node, 'p.>')).last(0), seq);
  assert.equal(positionOf(new Client(node, 'p.d')).epoch, 'epoch-1');
});

test('without a snapshot only later reports are sent', () => {
  const node = createLocalNode();
  node.report('p.d', 1);
  const client = new Client(node, 'p.d', { snapshot: false });
  const { seq } = node.report('p.d', 2);
  assert.deepEqual(client.received, [['p.d', seq, false]]);
  assert.equal(client.start?.devices, 0);
});

test('clients of a channel share a view for each encoding', () => {
  const node = createLocalNode();
  const clients = [new Client(node, 'p.d'), new Client(node, 'p.d'), new Client(node, 'p.d', { encoding: 'proto' })];
  node.report('p.d', 1);
  const [one, two, three] = clients.map((client) => client.subscription?.view);
  assert.equal(one, two);
  assert.notEqual(one, three);
  assert.equal(node.published.length, 2);
  for (const client of clients) assert.deepEqual(seqs(client), [0]);
});

test('reports that are pending when a client subscribes are sent to the others, and are in its snapshot', () => {
  const node = createLocalNode({ partitions: 1 });
  const early = new Client(node, 'p.d');
  const [partition] = node.partitions;
  const device = partition!.device('p.d');
  node.report('p.d', 1);
  // In the middle of a batch: accepted, not published yet.
  node.views.add(early.subscription!.channel, device.lastValues()[0]!);
  const late = new Client(node, 'p.d');
  node.views.flush();
  assert.deepEqual(early.received.at(-1), ['p.d', 0, false]);
  assert.deepEqual(late.received, [['p.d', 0, true]]);
});

test('a client waits until the channel has joined all its partitions', () => {
  const node = createLocalNode({ partitions: 2, owned: false });
  const subtree = new Client(node, 'p.>');
  node.own(0);
  assert.equal(subtree.start, undefined);
  node.own(1);
  assert.equal(subtree.subscription?.state, 'live');
  assert.notEqual(subtree.start, undefined);
  const after = new Client(node, 'p.>');
  assert.equal(after.subscription?.state, 'live');
});

test('a subscription that started in time is not refused later', async () => {
  const node = createLocalNode({ owned: false });
  const client = new Client(node, 'p.>');
  await node.clock.advance(4_000);
  for (const { number } of node.partitions) node.own(number);
  await node.clock.advance(10_000);
  assert.equal(client.subscription?.state, 'live');
  assert.equal(client.refused.length, 0);
});

test('a client whose partitions no node serves is refused after joinDeadlineMs', async () => {
  const node = createLocalNode({ partitions: 2, owned: false, joinDeadlineMs: 5_000 });
  const client = new Client(node, 'p.>');
  node.own(0);
  await node.clock.advance(4_999);
  assert.equal(client.refused.length, 0);
  await node.clock.advance(1);
  assert.equal(client.refused[0]?.code, 'unavailable');
  assert.equal(client.refused[0]?.retryable, true);
  assert.match(client.refused[0]?.message ?? '', /p\.>: expected an owner of partitions 1 within 5000 ms/);
  await node.clock.advance(LingeringChannels.lingerMs);
  assert.equal(node.channels.size, 0);
  node.own(1);
  assert.equal(client.start, undefined);
});

test('a client that leaves while it waits is not started, and its deadline is canceled', async () => {
  const node = createLocalNode({ owned: false });
  const client = new Client(node, 'p.>');
  node.hub.unsubscribe(client.subscription!);
  await node.clock.advance(LingeringChannels.lingerMs);
  assert.equal(node.clock.pending(), 0);
  for (const { number } of node.partitions) node.own(number);
  assert.equal(client.start, undefined);
  assert.deepEqual(client.refused, []);
});

test('the last subscription to leave closes the channel, and leaving is idempotent', () => {
  const node = createLocalNode();
  const clients = [new Client(node, 'p.d'), new Client(node, 'p.d')];
  node.hub.unsubscribe(clients[0]!.subscription!);
  node.hub.unsubscribe(clients[0]!.subscription!);
  assert.equal(node.channels.size, 1);
  node.hub.unsubscribe(clients[1]!.subscription!);
  assert.equal(node.channels.size, 0);
});

test('a large snapshot is sent in frames of about 64 KB', () => {
  const node = createLocalNode({ partitions: 1 });
  for (let i = 0; i < 100; i++) node.report(`p.d${i}`, { text: 'x'.repeat(4_000) });
  for (const encoding of ['json', 'proto'] as const) {
    const client = new Client(node, 'p.>', { encoding });
    assert.ok(client.frames.length > 5);
    for (const frame of client.frames) assert.ok(frame.length <= 66_000, `${frame.length}`);
    assert.equal(client.received.length, 100);
    assert.equal(client.start?.devices, 100);
  }
});

test('a client whose start fails is refused alone, and the others start', async () => {
  const node = createLocalNode({ partitions: 1, owned: false });
  class Broken extends Client {
    override sendHead(): void {
      throw new TypeError('broken');
    }
  }
  const { refused: errors } = new Broken(node, 'p.d');
  const client = new Client(node, 'p.d');
  node.own(0);
  await turn();
  assert.equal(client.subscription?.state, 'live');
  assert.equal(errors[0]?.code, 'internal');
  assert.ok(errors[0]?.cause instanceof TypeError);
});
