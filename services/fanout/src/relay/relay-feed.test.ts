import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { logReport } from '../../test/records.ts';
import { Device } from '../channels/device.ts';
import { Interests, RelayFeed } from './relay-feed.ts';

function feed() {
  const frames: tailrace.v1.RelayFrame[] = [];
  const subjects = new Set<string>();
  const bus = {
    publish(subject: string, bytes: Uint8Array) {
      subjects.add(subject);
      frames.push(tailrace.v1.RelayFrame.decode(bytes));
    },
  };
  const interests = new Interests(30_000, 0);
  const progress = { watermarkMs: 0, throughMs: Number.NEGATIVE_INFINITY };
  const counts = { frames: 0, updates: 0 };
  const made = new RelayFeed({
    bus,
    interests,
    partition: 3,
    node: 'a',
    epoch: 'e',
    clock: { monotonic: () => 5_000 },
    progress,
    counts,
  });
  made.restart(7, 100);
  return { feed: made, frames, interests, progress, counts, subjects };
}

const spans = (frames: readonly tailrace.v1.RelayFrame[]) => frames.map(({ previous, next }) => [previous, next]);

test('a frame has the updates that some node has interest in, its sender, and the positions that it covers', () => {
  const { feed: made, frames, interests, counts, subjects } = feed();
  interests.add('b', ['p.d'], 0);
  made.offer(new Device('p.d', 3), logReport('p.d', 100));
  made.offer(new Device('p.e', 3), logReport('p.e', 101));
  made.offer(new Device('p.d', 3), logReport('p.d', 102));
  made.flush(103);
  const [{ epoch, partition, generation, previous, next, node, updates } = assert.fail()] = frames;
  assert.deepEqual(
    { epoch, partition, generation, previous, next, node },
    { epoch: 'e', partition: 3, generation: 7, previous: 100, next: 103, node: 'a' },
  );
  assert.deepEqual(
    updates.map((update) => update.seq),
    [100, 102],
  );
  assert.ok(
    logReport('p.d', 100).bytes.every((byte, i) => byte === updates[0]?.report?.[i]),
    'the bytes are those of the log',
  );
  assert.deepEqual(counts, { frames: 1, updates: 2 });
  assert.deepEqual([...subjects], ['tailrace.v1.relay.3']);
});

test('frames follow each other without a gap, with updates or without', () => {
  const { feed: made, frames, interests } = feed();
  interests.add('b', ['p.d'], 0);
  const device = new Device('p.d', 3);
  made.offer(device, logReport('p.d', 100));
  made.flush(101);
  made.flush(110);
  assert.equal(frames.length, 1, 'no updates, no frame');
  made.heartbeat(110);
  made.heartbeat(110);
  made.offer(device, logReport('p.d', 110));
  made.flush(112);
  assert.deepEqual(spans(frames), [
    [100, 101],
    [101, 110],
    [110, 110],
    [110, 112],
  ]);
});

test('without interest no frame is sent, and the first frame starts at the position of the first interest', () => {
  const { feed: made, frames } = feed();
  made.offer(new Device('p.d', 3), logReport('p.d', 100));
  assert.equal(made.waits, false);
  made.flush(149);
  made.heartbeat(149);
  assert.deepEqual(frames, []);
  made.addInterest('b', ['p.d'], 0, 150);
  made.heartbeat(150);
  assert.deepEqual(spans(frames), [[150, 150]]);
});

test('frames continue under a new assignment; a restart starts at a new position', () => {
  const { feed: made, frames, interests } = feed();
  interests.add('b', ['p.d'], 0);
  made.setGeneration(8);
  made.heartbeat(120);
  made.restart(9, 500);
  made.heartbeat(500);
  assert.deepEqual(
    frames.map(({ generation, previous, next }) => [generation, previous, next]),
    [
      [8, 100, 120],
      [9, 500, 500],
    ],
  );
});

test('updates larger than a bus message are sent in several frames without a gap', () => {
  const { feed: made, frames, interests } = feed();
  interests.add('b', ['p.d'], 0);
  const device = new Device('p.d', 3);
  for (let seq = 100; seq < 300; seq++) made.offer(device, logReport('p.d', seq, { text: 'x'.repeat(4_000) }));
  made.flush(300);
  assert.ok(frames.length > 2);
  let next = 100;
  for (const frame of frames) {
    assert.equal(frame.previous, next);
    next = frame.next;
    const bytes = frame.updates.reduce((sum, update) => sum + (update.report?.length ?? 0), 0);
    assert.ok(bytes < 512 * 1024, `${bytes} bytes`);
    for (const { seq } of frame.updates) assert.ok(seq! >= frame.previous && seq! < frame.next);
  }
  assert.equal(next, 300);
  assert.equal(frames.flatMap((frame) => frame.updates).length, 200);
});

test('presences and the watermark are sent with the last frame only, in as many frames as needed', () => {
  const { feed: made, frames, interests, progress } = feed();
  interests.add('b', ['p.>'], 0);
  const large = { n: 'x'.repeat(200_000) };
  for (let seq = 100; seq < 103; seq++) made.offer(new Device('p.d', 3), logReport('p.d', seq, large));
  for (let i = 0; i < 2_500; i++) made.offerPresence(new Device(`p.${i}`, 3), { state: 1, sinceMs: 5, seq: 99 });
  made.offerPresence(new Device('q.d', 3), { state: 1, sinceMs: 5, seq: 99 });
  progress.watermarkMs = 77;
  assert.equal(made.waits, true);
  made.flush(103);
  assert.equal(made.waits, false);
  const sent = frames.map(({ presences, told: count, watermark }) => [presences.length, count, watermark]);
  assert.deepEqual(sent, [
    [0, 0, 0],
    [1_000, 1_000, 77],
    [1_000, 2_000, 77],
    [500, 2_500, 77],
  ]);
  made.heartbeat(103);
  assert.deepEqual([frames.at(-1)!.presences, frames.at(-1)!.told], [[], 2_500]);
});

test('a frame that the bus refuses affects no other: it counts as lost, so that nodes request the range', () => {
  const frames: tailrace.v1.RelayFrame[] = [];
  const bus = {
    publish(_subject: string, bytes: Uint8Array) {
      if (bytes.length > 5_000) throw new TailraceError('too_large', `${bytes.length} bytes`);
      frames.push(tailrace.v1.RelayFrame.decode(bytes));
    },
  };
  const interests = new Interests(30_000, 0);
  interests.add('b', ['p.d'], 0);
  const counts = { frames: 0, updates: 0 };
  const made = new RelayFeed({
    bus,
    interests,
    partition: 3,
    node: 'a',
    epoch: 'e',
    clock: { monotonic: () => 5_000 },
    progress: { watermarkMs: 0, throughMs: 0 },
    counts,
  });
  made.restart(7, 100);
  const device = new Device('p.d', 3);
  made.offer(device, logReport('p.d', 100));
  made.flush(101);
  made.offer(device, logReport('p.d', 101, { t: 'x'.repeat(6_000) }));
  made.flush(102);
  made.offer(device, logReport('p.d', 102));
  made.flush(103);
  assert.deepEqual(spans(frames), [
    [100, 101],
    [102, 103],
  ]);
  assert.deepEqual(counts, { frames: 2, updates: 2 });
});

test('a range that the log cannot read is in a frame of its own, between the updates before and after it', () => {
  const { feed: made, frames, interests } = feed();
  made.skip(100, 105, 'unreadable');
  assert.equal(frames.length, 0, 'no node has an interest');
  interests.add('b', ['p.d'], 0);
  const device = new Device('p.d', 3);
  made.offer(device, logReport('p.d', 105));
  made.skip(106, 110, 'unreadable');
  made.offer(device, logReport('p.d', 110));
  made.flush(111);
  assert.deepEqual(
    frames.map(({ previous, next, unreadable, updates }) => [previous, next, unreadable.length, updates.length]),
    [
      [105, 106, 0, 1],
      [106, 110, 1, 0],
      [110, 111, 0, 1],
    ],
  );
  assert.deepEqual({ ...frames[1]!.unreadable[0] }, { from: 106, until: 110 });
});

test('a frame has the time since its owner had read the partition to the end; infinite: not since it serves it', () => {
  const { feed: made, frames, interests, progress } = feed();
  interests.add('b', ['p.d'], 0);
  made.heartbeat(100);
  progress.throughMs = 4_800;
  made.heartbeat(100);
  assert.deepEqual(
    frames.map(({ sentMs, behindMs }) => [sentMs, behindMs]),
    [
      [5_000, Number.POSITIVE_INFINITY],
      [5_000, 200],
    ],
  );
});
