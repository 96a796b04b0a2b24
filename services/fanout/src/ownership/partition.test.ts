import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLocalNode } from '../../test/localnode.ts';
import { record } from '../../test/records.ts';
import { recentsOf } from '../catchup/recents.ts';
import type { Channel } from '../channels/channel.ts';
import type { Partition } from './partition.ts';

test('last values, window and what is under way are copies: the fetch that brought them can go, also where it is a Buffer', () => {
  for (const allocate of [(bytes: number) => new Uint8Array(bytes), (bytes: number) => Buffer.alloc(bytes)]) {
    const { partitions, channels } = createLocalNode();
    const partition = partitions[0]!;
    const channel = channels.open('p.d');
    channel.join(0, 0);
    const tapped: Uint8Array[] = [];
    channel.taps.add({ push: ({ bytes }: { bytes: Uint8Array }) => void tapped.push(bytes) } as never);
    const made = record('p.d', 0, { a: 1 });
    const fetched = allocate(made.value.length + 100);
    fetched.set(made.value, 50);
    partition.accept([{ ...made, value: fetched.subarray(50, 50 + made.value.length) }]);
    fetched.fill(0);
    const [kept] = partition.devices.get('p.d')!.lastValues();
    assert.equal(kept?.report.readings[0]?.value, 1);
    const [recent] = partition.window.since(0);
    assert.equal(recent?.report, kept?.packed, 'one copy serves both');
    assert.notEqual(tapped[0]?.buffer, fetched.buffer);
    assert.deepEqual(tapped, [made.value]);
  }
});

test('what retention took while the node was behind is not claimed by the window, and the clients are told', () => {
  const node = createLocalNode({ partitions: 1 });
  const [partition] = node.partitions as [Partition];
  const channel = node.channels.open('p.>');
  node.views.enter(channel, 'json').sockets = 1;
  partition.admit(channel);
  partition.accept([record('p.d', 0), record('p.d', 1)]);
  partition.accept([record('p.d', 5), record('p.e', 6)]);
  node.views.flush();
  assert.equal(partition.window.from, 5);
  assert.deepEqual(
    [...partition.window.since(0)].map(({ seq }) => seq),
    [5, 6],
  );
  const frames = node.published.map(({ frame }) => JSON.parse(String(frame)) as { data: DataShown });
  assert.deepEqual(
    frames.map(({ data }) => data.skipped ?? data.reports.map(({ seq }) => seq)),
    [[0, 1], [{ partition: 0, device: '', from: 2, to: 4, count: 0, reason: 'retention' }], [5, 6]],
  );
});

test('IDs are known from where reading began, less what may be repeated, and as many as are remembered', () => {
  const node = createLocalNode({ partitions: 1, owned: false });
  const [partition] = node.partitions as [Partition];
  partition.gain(1, 5_000, 5_000);
  partition.accept([record('p.d', 5_000)]);
  assert.equal(partition.knowsIdsFrom(5_000), false);
  partition.lose();
  partition.gain(2, 0, 0);
  for (let seq = 0; seq < 100; seq++) partition.accept([record('p.d', seq)]);
  assert.equal(partition.knowsIdsFrom(0), true, 'there is nothing before the beginning');
  partition.accept([record('p.d', 100)]);
  assert.equal(partition.knowsIdsFrom(50), false, 'more than are remembered');
});

interface DataShown {
  readonly reports: readonly { readonly seq: number }[];
  readonly skipped?: readonly object[];
}

test('a record that is no report, or that is filed under another device, is counted and shown to nobody', () => {
  const node = createLocalNode({ partitions: 1 });
  const [partition] = node.partitions as [Partition];
  const channel = node.channels.open('p.>');
  node.views.enter(channel, 'json').sockets = 1;
  partition.admit(channel);
  partition.accept([
    { ...record('p.d', 0), value: Buffer.from('no report') },
    { ...record('p.secret', 1), key: 'p.d' },
    record('p.d', 2),
  ]);
  node.views.flush();
  assert.equal(partition.counts.unreadable, 2);
  const shown = node.published.flatMap(({ frame }) => (JSON.parse(String(frame)) as { data: DataShown }).data.reports);
  assert.deepEqual(
    shown.map(({ seq }) => seq),
    [2],
  );
});

test('a device beyond the limit is delivered live and found in the window, and nothing else is kept of it', () => {
  const node = createLocalNode({ partitions: 1, devicesMax: 1 });
  const [partition] = node.partitions as [Partition];
  const channels = ['p.known', 'p.unknown'].map((pattern) => node.channels.open(pattern)) as [Channel, Channel];
  for (const channel of channels) {
    node.views.enter(channel, 'json').sockets = 1;
    partition.admit(channel);
  }
  partition.accept([record('p.known', 0), record('p.unknown', 1), record('p.known', 2), record('p.unknown', 3)]);
  node.views.flush();
  const shown = node.published.flatMap(({ frame }) => (JSON.parse(String(frame)) as { data: DataShown }).data.reports);
  assert.deepEqual(shown.map(({ seq }) => seq).sort(), [0, 1, 2, 3]);
  assert.deepEqual([...partition.devices.keys()], ['p.known']);
  assert.deepEqual(
    [...partition.changed].map(({ path }) => path),
    ['p.known'],
  );
  assert.deepEqual([...partition.lastValues(channels[1])], []);
  const recent = (channel: Channel, from: number) =>
    [...recentsOf(channel, partition, from)].filter(({ device }) => channel.covers(device.path)).map(({ seq }) => seq);
  assert.deepEqual(
    [recent(channels[1], 0), recent(channels[0], 0)],
    [
      [1, 3],
      [0, 2],
    ],
  );
  assert.deepEqual([recent(channels[1], 4), recent(channels[0], 2)], [[], [2]]);
});

test('a device that finds a place later is known from then on', () => {
  const node = createLocalNode({ partitions: 1, devicesMax: 1 });
  const [partition] = node.partitions as [Partition];
  const channel = node.channels.open('p.b');
  partition.accept([record('p.a', 0), record('p.b', 1)]);
  partition.lose();
  partition.gain(2, 2, 2);
  partition.accept([record('p.b', 2)]);
  assert.deepEqual(
    [...partition.lastValues(channel)].map(({ seq }) => seq),
    [2],
  );
});
