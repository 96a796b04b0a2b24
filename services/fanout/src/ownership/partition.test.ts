import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyRecord, type LogRecord, unreadableRecord } from '@tailrace/eventlog/event-log';
import { partitionOf } from '@tailrace/protocol/partition';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { createLocalNode } from '../../test/local-node.ts';
import { idLimits, logRangesOf } from '../../test/log-ranges.ts';
import { record } from '../../test/records.ts';
import { runUnscheduled } from '../../test/run-unscheduled.ts';
import { readRange, type Selection } from '../catch-up/backlog.ts';
import type { Channel } from '../channels/channels.ts';
import type { Partition } from './partition.ts';
import { IdMemory } from './recent-ids.ts';
import type { RejectReason } from './rejected-records.ts';

/** Returns the positions of a selection from the window. Fails if the log is read. */
async function inWindow(partition: Partition, selection: Selection, from: number): Promise<number[]> {
  const fails = () => assert.fail('expected no read of the log');
  const range = { partition, from, until: partition.next };
  const { reports } = await runUnscheduled(readRange(selection, range, logRangesOf({ read: fails, bounds: fails })));
  return reports.map(({ seq }) => seq);
}

test('last values, window and what is under way are copies: the fetch that brought them can go, also where it is a Buffer', () => {
  for (const allocate of [(bytes: number) => new Uint8Array(bytes), (bytes: number) => Buffer.alloc(bytes)]) {
    const { partitions, channels } = createLocalNode({ partitions: 1 });
    const partition = partitions[0]!;
    const channel = channels.open('p.d');
    channel.join(0, 0);
    const tapped: Uint8Array[] = [];
    channel.liveBuffers.add({ push: ({ bytes }: { bytes: Uint8Array }) => void tapped.push(bytes) } as never);
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

test('what retention deleted while the node was behind is not in the window, and the clients are notified', () => {
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
  const frames = node.published.map(({ frame }) => JSON.parse(String(frame)) as { data: DataSent });
  assert.deepEqual(
    frames.map(({ data }) => data.skipped ?? data.reports.map(({ seq }) => seq)),
    [[0, 1], [{ partition: 0, device: '', from: 2, to: 4, count: 0, reason: 'retention' }], [5, 6]],
  );
});

test('of the reports of a batch or frame the oldest counts for their age, and the newest for the watermark', () => {
  const { partitions, clock } = createLocalNode({ partitions: 1 });
  const [partition] = partitions as [Partition];
  const nowMs = clock.now();
  const readings = [{ tag: 'n', value: 1 }];
  const reportAt = (receivedMs: number) => encodeReport({ device: 'p.d', time: receivedMs, readings }, receivedMs);
  const at = (seq: number, receivedMs: number) => ({ ...record('p.d', seq), value: reportAt(receivedMs) });
  assert.equal(partition.accept([at(0, nowMs - 900), at(1, nowMs - 5_000), at(2, nowMs - 700)]), nowMs - 5_000);
  const { watermarkMs } = partition.progress;
  assert.equal(partition.accept([at(3, nowMs - 300), at(4, nowMs - 800)]), nowMs - 800);
  assert.equal(partition.progress.watermarkMs, watermarkMs + 400);
  assert.equal(partition.accept([at(3, nowMs)]), Number.POSITIVE_INFINITY, 'processed before');
  assert.equal(partition.progress.watermarkMs, watermarkMs + 400);

  const other = createLocalNode({ partitions: 1, owned: false });
  const [elsewhere] = other.partitions as [Partition];
  other.channels.open('p.d').join(0, 0);
  const updates = [nowMs - 10, nowMs - 40, nowMs - 20].map((ms, seq) => ({ seq, report: reportAt(ms) }));
  assert.equal(elsewhere.acceptRelayed({ updates, unreadable: [], traceparent: '' }, 0), nowMs - 40);
  assert.equal(elsewhere.acceptRelayed({ updates, unreadable: [], traceparent: '' }, 3), Number.POSITIVE_INFINITY);
});

test('a record with a time far ahead takes nothing out of the window, and does not keep what follows in it', async () => {
  const { partitions, clock } = createLocalNode({ partitions: 1 });
  const [partition] = partitions as [Partition];
  const at = (seq: number, timeMs: number) => ({ ...record('p.d', seq), timeMs });
  const seqs = () => Array.from(partition.window.since(0), ({ seq }) => seq);
  const nowMs = clock.now();
  partition.accept([at(0, nowMs), at(1, nowMs + 30 * 86_400_000), at(2, nowMs)]);
  assert.deepEqual(seqs(), [0, 1, 2]);
  await clock.advance(86_400_000);
  partition.accept([at(3, clock.now())]);
  assert.deepEqual(seqs(), [3]);
});

test('which positions repeat an ID is known from where reading started, also of those of the lookback', () => {
  const node = createLocalNode({ partitions: 1, owned: false });
  const [partition] = node.partitions as [Partition];
  const memory = new IdMemory(idLimits, () => node.clock.now());
  const ids = memory.detached();
  const { timeMs } = record('p.d', 0);
  ids.repeats('p.d', 'x', 4_998, timeMs);
  ids.repeats('p.d', 'x', 4_999, timeMs);
  ids.startAt(5_000);
  partition.gain(1, 4_999, 5_000, ids);
  partition.accept([record('p.d', 4_999, 1, 'x'), record('p.d', 5_000, 2, 'x'), record('p.d', 5_001, 3, 'y')]);
  assert.equal(partition.ids.decidedFrom, 5_000);
  assert.deepEqual(
    [4_999, 5_000, 5_001].map((seq) => partition.ids.has(seq)),
    [true, true, false],
  );
  assert.equal(partition.counts.duplicates, 2);
  partition.lose();
  partition.gain(2, 5_000, 5_000);
  partition.accept([record('p.d', 5_000, 2, 'x')]);
  assert.equal(partition.ids.has(5_000), false, 'there was no lookback');
});

interface DataSent {
  readonly reports: readonly { readonly seq: number }[];
  readonly skipped?: readonly object[];
}

/** A node with one partition, and what a client of `p.>` was shown. */
function watched() {
  const node = createLocalNode({ partitions: 1 });
  const [partition] = node.partitions as [Partition];
  const channel = node.channels.open('p.>');
  node.views.enter(channel, 'json').sockets = 1;
  partition.admit(channel);
  const shown = () => {
    node.views.flush();
    return node.published.map(({ frame }) => (JSON.parse(String(frame)) as { data: DataSent }).data);
  };
  return { node, partition, shown };
}

/** What other programs may write under a key, and why it is no report of a device. */
const foreign: readonly (readonly [string, RejectReason, Partial<LogRecord>])[] = [
  ['an empty line of a console producer', 'key', { key: '', value: new Uint8Array(0) }],
  ['a line of text without key', 'key', { key: '', value: Buffer.from('hello') }],
  ['a report without key', 'key', { key: '' }],
  ['a key that is no device path', 'key', { key: 'p..d' }],
  ['a key that is a pattern', 'key', { key: 'p.>' }],
  ['a key that is no UTF-8', 'key', { key: '\ufffd\ufffd' }],
  ['a key of a megabyte', 'key', { key: 'x'.repeat(1_000_000) }],
  ['a tombstone', 'empty', { value: new Uint8Array(0) }],
  ['JSON', 'malformed', { value: Buffer.from('{"device":"p.d","time":1,"readings":[{"tag":"a","value":1}]}') }],
  ['a megabyte of zeros', 'too_large', { value: new Uint8Array(1_000_000) }],
  ['a report that is truncated', 'malformed', { value: record('p.d', 0).value.subarray(0, -3) }],
  ['a report of another device', 'device', { value: record('p.secret', 0).value }],
  ['a report without readings', 'readings', { value: encodeReport({ device: 'p.d', time: 1, readings: [] }) }],
  [
    'a report at no time',
    'time',
    { value: encodeReport({ device: 'p.d', time: Number.NaN, readings: [{ tag: 'a', value: 1 }] }) },
  ],
  [
    'a reading that is NaN',
    'readings',
    { value: encodeReport({ device: 'p.d', time: 1, readings: [{ tag: 'a', value: Number.NaN }] }) },
  ],
];

for (const [what, reason, fields] of foreign) {
  test(`${what} is skipped and counted, of a device that is known or not: ${reason}`, () => {
    const { partition, shown } = watched();
    partition.accept([{ ...record('p.d', 0), ...fields }, record('p.d', 1)]);
    partition.accept([{ ...record('p.d', 2), ...fields }, record('p.d', 3)]);
    assert.deepEqual(
      shown().flatMap(({ reports, skipped }) => skipped ?? reports.map(({ seq }) => seq)),
      [1, 3],
      'it was acknowledged to no sender: no client is notified that it is missing',
    );
    assert.equal(partition.rejected.byReason[reason].value, 2);
    assert.equal(partition.counts.reports, 2);
    assert.deepEqual([...partition.devices.keys()], ['p.d']);
    assert.equal(partition.next, 4);
  });
}

test('a report in a partition where its device does not belong is skipped: a client of the device follows another', () => {
  const node = createLocalNode({ partitions: 2 });
  const device = 'p.d';
  const [right, wrong] = [partitionOf(device, 2), 1 - partitionOf(device, 2)];
  const channel = node.channels.open(device);
  node.views.enter(channel, 'json').sockets = 1;
  node.partitions[right]!.admit(channel);
  node.partitions[wrong]!.accept([record(device, 0, 13), record(device, 1_000, 14)]);
  node.report(device, 7);
  const frames = node.published.map(({ frame }) => (JSON.parse(String(frame)) as { data: DataSent }).data.reports);
  assert.deepEqual(
    frames.flat().map(({ seq }) => seq),
    [0],
  );
  assert.equal(node.partitions[wrong]!.rejected.byReason.partition.value, 2);
});

test('a record that this node fails to process costs no other: it is named, counted, and the next ones come', () => {
  const { node, partition, shown } = watched();
  const { add } = partition.window;
  partition.window.add = (device, logReport, atMs) => {
    if (logReport.seq === 1) throw new RangeError('an internal error');
    add.call(partition.window, device, logReport, atMs);
  };
  partition.accept([record('p.d', 0), record('p.d', 1), record('p.d', 2)]);
  node.views.flush();
  assert.deepEqual(
    shown().flatMap(({ reports, skipped }) => skipped ?? reports.map(({ seq }) => seq)),
    [0, { partition: 0, device: '', from: 1, to: 1, count: 0, reason: 'unreadable' }, 1, 2],
  );
  assert.equal(partition.rejected.failedRecords, 1);
});

test('positions that hold no record are skipped, and no client is notified', () => {
  const { partition, shown } = watched();
  partition.accept([record('p.d', 0), emptyRecord(1, 2), record('p.d', 2), emptyRecord(3, 4)]);
  assert.equal(partition.next, 4);
  partition.accept([record('p.d', 4)]);
  assert.deepEqual(
    shown().flatMap(({ reports, skipped }) => skipped ?? reports.map(({ seq }) => seq)),
    [0, 2, 4],
  );
  assert.equal(partition.window.from, 0);
});

test('an unreadable record restarts the window: a client that resumes before it is served from the log', () => {
  const { partition, shown } = watched();
  const gap = unreadableRecord(1, { until: 4, reason: 'codec', message: 'expected codec 0 to 4, got 7' });
  partition.accept([record('p.d', 0), gap, record('p.d', 4)]);
  partition.accept([gap]);
  assert.deepEqual(
    shown().map(({ reports, skipped }) => skipped ?? reports.map(({ seq }) => seq)),
    [[0], [{ partition: 0, device: '', from: 1, to: 3, count: 0, reason: 'unreadable' }], [4]],
  );
  assert.equal(partition.window.from, 4);
  assert.equal(partition.rejected.unreadableRanges, 1);
});

test('a device beyond the limit is delivered live and found in the window, and nothing else is kept of it', async () => {
  const node = createLocalNode({ partitions: 1, devicesMax: 1 });
  const [partition] = node.partitions as [Partition];
  const channels = ['p.known', 'p.unknown'].map((pattern) => node.channels.open(pattern)) as [Channel, Channel];
  for (const channel of channels) {
    node.views.enter(channel, 'json').sockets = 1;
    partition.admit(channel);
  }
  partition.accept([record('p.known', 0), record('p.unknown', 1), record('p.known', 2), record('p.unknown', 3)]);
  node.views.flush();
  const shown = node.published.flatMap(({ frame }) => (JSON.parse(String(frame)) as { data: DataSent }).data.reports);
  assert.deepEqual(shown.map(({ seq }) => seq).sort(), [0, 1, 2, 3]);
  assert.deepEqual([...partition.devices.keys()], ['p.known']);
  assert.deepEqual(
    [...partition.changed].map(({ path }) => path),
    ['p.known'],
  );
  assert.deepEqual([...partition.lastValues(channels[1])], []);
  const [known, unknown] = channels;
  assert.deepEqual(await inWindow(partition, unknown, 0), [1, 3]);
  assert.deepEqual(await inWindow(partition, known, 0), [0, 2]);
  assert.deepEqual(await inWindow(partition, unknown, 4), []);
  assert.deepEqual(await inWindow(partition, known, 2), [2]);
});

test('of a subtree without a device the window answers with nothing, and of another with its reports', async () => {
  const node = createLocalNode({ partitions: 1 });
  const [partition] = node.partitions as [Partition];
  partition.accept(['p.few.b', 'p.many.a', 'p.few.a'].map((name, seq) => record(name, seq)));
  const recent = (pattern: string, from: number) => inWindow(partition, node.channels.open(pattern), from);
  assert.deepEqual(await recent('p.few.>', 0), [0, 2]);
  assert.deepEqual(await recent('p.few.>', 1), [2]);
  assert.deepEqual(await recent('p.none.>', 0), []);
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

test('a partition is gained, served and lost in this order, and has a standby owner only while it is here', () => {
  const { partitions } = createLocalNode({ partitions: 1, owned: false });
  const [partition] = partitions as [Partition];
  const invalid = (message: RegExp) => ({ code: 'internal', message });
  assert.throws(() => partition.lose(), invalid(/^partition 0: expected .+ after elsewhere, got elsewhere$/));
  assert.throws(() => partition.setGeneration(2), invalid(/^partition 0: expected recovering or owned for /));
  assert.throws(() => partition.standBy(), invalid(/^partition 0: expected recovering or owned for /));
  partition.gain(1, 0, 1);
  assert.equal(partition.role, 'recovering');
  assert.throws(() => partition.gain(2, 0, 1), invalid(/^partition 0: expected .+ after recovering, got recovering$/));
  partition.accept([record('p.d', 0)]);
  assert.equal(partition.role, 'owned');
  assert.throws(() => partition.gain(2, 0, 1), invalid(/^partition 0: expected .+ after owned, got recovering$/));
  partition.standBy();
  partition.setGeneration(2);
  assert.deepEqual([partition.role, partition.isStandby, partition.generation], ['owned', true, 2]);
  partition.promote(3);
  assert.deepEqual([partition.isStandby, partition.generation], [false, 3]);
  partition.standBy();
  partition.lose();
  assert.deepEqual([partition.role, partition.isStandby], ['elsewhere', false]);
});
