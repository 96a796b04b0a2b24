import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Delivery } from '@tailrace/protocol/report';
import { type Data, serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/server-message';
import { randomFrom } from '../../test/cluster.ts';
import { createLocalNode, type LocalNode } from '../../test/local-node.ts';
import { TopicSubscriber } from '../../test/topic-subscriber.ts';
import type { Encoding, ViewOptions } from '../views/view-options.ts';
import type { Subscription } from './subscription.ts';

/** A client that reads `frames` frames, and then no more until `take`. */
class Reader extends TopicSubscriber {
  readonly data: Data[] = [];
  readonly subscription: Subscription;
  frameBytesMost = 0;
  #left: number;
  #wake: (() => void) | undefined;

  constructor(
    node: LocalNode,
    channel: string,
    frames: number,
    options: ViewOptions = {},
    encoding: Encoding = 'json',
  ) {
    super(node, 'reader', encoding);
    this.#left = frames;
    this.subscription = node.hub.subscribe(this, { id: 'a', channel, snapshot: true, options }, (error) => {
      throw error;
    });
  }

  override whenWritable(): Promise<void> | undefined {
    if (this.#left > 0) return undefined;
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Reads further frames. */
  async take(frames: number): Promise<void> {
    this.#left += frames;
    this.#wake?.();
    // The scheduler runs with the clock.
    for (let i = 0; i < 20; i++) {
      await turn();
      await this.node.clock.advance(0);
    }
  }

  receive(frame: string | Uint8Array): void {
    this.#left--;
    this.frameBytesMost = Math.max(this.frameBytesMost, frame.length);
    const message = typeof frame === 'string' ? serverMessageFromJson(frame) : serverMessageFromBytes(frame);
    if (message !== undefined && 'data' in message) this.data.push(message.data);
  }

  get snapshot(): Delivery[] {
    return this.data.filter(({ snapshot }) => snapshot === true).flatMap(({ reports }) => reports);
  }

  get complete(): number {
    return this.data.filter(({ snapshotComplete }) => snapshotComplete === true).length;
  }

  /** The value that was received last, by device and tag. */
  get values(): Record<string, unknown> {
    const received = this.data.flatMap(({ reports }) => reports);
    return Object.fromEntries(
      received.flatMap(({ device, readings }) => readings.map(({ tag, value }) => [`${device} ${tag}`, value])),
    );
  }
}

const text = (characters: number) => 'x'.repeat(characters);

/** The last value on the node, by device and tag. */
function lastValues(node: LocalNode, pattern: string): Record<string, unknown> {
  const reports = node.partitions.flatMap((partition) => [...partition.lastValues({ pattern })]);
  return Object.fromEntries(
    reports.flatMap(({ report: { device, readings } }) =>
      readings.map(({ tag, value }) => [`${device} ${tag}`, value]),
    ),
  );
}

function assertOnceAndInOrder(data: readonly Data[]): void {
  const last = new Map<string, number>();
  for (const { reports } of data) {
    for (const { device, seq } of reports) {
      assert.ok(seq > (last.get(device) ?? -1), `${device}: ${seq} after ${last.get(device)}`);
      last.set(device, seq);
    }
  }
}

test('a snapshot of any size is sent in frames as the client reads, and is never refused for its size', async () => {
  for (const encoding of ['json', 'proto'] as const) {
    const node = createLocalNode({ partitions: 3 });
    for (let i = 0; i < 1_200; i++) node.report(`p.line${i % 7}.m${i}`, { text: text(4_000), i });
    const reader = new Reader(node, '>', 3, {}, encoding);
    assert.equal(reader.start?.devices, 1_200);
    for (let i = 0; i < 200 && reader.subscription.state !== 'live'; i++) await reader.take(2);
    assert.equal(reader.subscription.state, 'live');
    assert.ok(reader.data.length > 70, `${reader.data.length} frames`);
    assert.ok(reader.frameBytesMost <= 70_000, `${reader.frameBytesMost}`);
    assert.deepEqual(reader.values, lastValues(node, '>'));
    assert.equal(
      reader.data.findIndex(({ snapshotComplete }) => snapshotComplete === true),
      reader.data.length - 1,
    );
  }
});

test('nothing but the progress of the snapshot is held for a client that does not read', async () => {
  const node = createLocalNode({ partitions: 1 });
  for (let i = 0; i < 400; i++) node.report(`p.m${i}`, { text: text(4_000) });
  const reader = new Reader(node, '>', 1);
  await reader.take(0);
  assert.equal(reader.data.length, 1);
  assert.equal(node.work.memory.heldBytes, 0);
  assert.equal(node.channels.find('>')!.liveBuffers.size, 0);
  node.hub.unsubscribe(reader.subscription);
  assert.equal(node.channels.size, 0);
});

test('reports received while a slow client reads its snapshot follow it: complete, once, in order', async () => {
  let superseded = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const random = randomFrom(seed);
    const pick = (max: number) => Math.floor(random() * max);
    const node = createLocalNode({ partitions: 3 });
    const path = () => `p.line${pick(3)}.m${pick(40)}`;
    let value = 0;
    const report = () => {
      const tags = ['a', 'b', 'c'].filter(() => random() < 0.9);
      const values = Object.fromEntries((tags.length > 0 ? tags : ['a']).map((tag) => [tag, ++value]));
      return node.report(path(), { ...values, ...(random() < 0.3 && { text: text(4_000) }) });
    };
    for (let i = 0; i < 150; i++) report();
    const channel = seed % 2 === 0 ? '>' : 'p.line1.>';
    const options: ViewOptions = seed % 4 < 2 ? {} : { deadband: { absolute: 0 } };
    const reader = new Reader(node, channel, 1 + pick(2), options);
    const here = new Map(node.partitions.map(({ number, next }) => [number, next]));
    const sent: string[] = [];
    for (let i = 0; i < 60; i++) {
      for (let k = pick(8); k > 0; k--) {
        const { partition, seq } = report();
        sent.push(`${partition}:${seq}`);
      }
      await reader.take(pick(2));
    }
    await reader.take(1_000);
    assert.equal(reader.subscription.state, 'live', `seed ${seed}`);
    assert.deepEqual(reader.values, lastValues(node, channel), `seed ${seed}`);
    assertOnceAndInOrder(reader.data);
    assert.equal(reader.complete, reader.start!.devices > 0 ? 1 : 0);
    const backlog = new Set<string>();
    for (const { snapshot, reports, skipped } of reader.data) {
      assert.equal(skipped, undefined, 'a client that reads is sent all reports');
      for (const { partition, seq } of reports) {
        assert.equal(seq < here.get(partition)!, snapshot === true);
        if (snapshot !== true) backlog.add(`${partition}:${seq}`);
      }
    }
    if (channel === '>') assert.deepEqual([...backlog].sort(), sent.sort());
    superseded += reader.start!.devices - new Set(reader.snapshot.map(({ device }) => device)).size;
  }
  assert.ok(superseded > 20, `expected more than 20 devices without a report left to send, got ${superseded}`);
});

test('the last frame of a snapshot has its flag, even without reports', async () => {
  const node = createLocalNode({ partitions: 1 });
  const empty = new Reader(node, '>', 9);
  node.report('p.d', { t: 1 });
  assert.deepEqual([empty.start?.devices, empty.complete, empty.data.length], [0, 0, 1]);
  const untagged = new Reader(node, '>', 9, { tags: ['other'] });
  assert.deepEqual([untagged.start?.devices, untagged.complete], [1, 1]);
  assert.deepEqual(untagged.data, [{ view: 2, snapshot: true, snapshotComplete: true, reports: [] }]);
  const one = new Reader(node, 'p.d', 9);
  assert.deepEqual([one.snapshot.length, one.complete], [1, 1]);
});

test('a device with more last values than fit into a frame is sent in several, oldest first', async () => {
  const node = createLocalNode({ partitions: 1 });
  for (let i = 0; i < 60; i++) node.report('p.big', { [`tag${i}`]: text(3_000) });
  node.report('p.after', { t: 1 });
  const reader = new Reader(node, 'p.>', 1);
  for (let i = 0; i < 10; i++) {
    // It reports meanwhile.
    node.report('p.big', { [`tag${i}`]: 'new' });
    await reader.take(1);
  }
  await reader.take(100);
  assert.ok(reader.data.length > 3);
  assertOnceAndInOrder(reader.data);
  assert.deepEqual(reader.values, lastValues(node, 'p.>'));
});

test('a snapshot visits its own devices only', () => {
  const node = createLocalNode({ partitions: 1 });
  for (let i = 0; i < 20_000; i++) node.partitions[0]!.device(`other.line${i % 100}.m${i}`);
  node.report('p.d', { t: 1 });
  const index = node.partitions[0]!.index;
  let visited = 0;
  const { page } = index;
  index.page = (...args) => {
    const items = page.apply(index, args);
    visited += items.length;
    return items;
  };
  const reader = new Reader(node, 'p.>', 9);
  assert.equal(reader.snapshot.length, 1);
  assert.ok(visited <= 2, `${visited} devices were visited`);
});
