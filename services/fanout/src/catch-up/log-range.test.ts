import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogRecord, type ReadRange, unreadableRecord } from '@tailrace/eventlog/event-log';
import { createLocalNode } from '../../test/local-node.ts';
import { logRangesOf } from '../../test/log-ranges.ts';
import { inBatches, record } from '../../test/records.ts';
import { runUnscheduled } from '../../test/run-unscheduled.ts';
import { readRange } from './backlog.ts';
import { IdReservation, type KnownRepeats, LogRange } from './log-range.ts';

const startMs = record('p.d', 0).timeMs;

/** A log of one partition, whose records are a second apart. */
function logOf(records: readonly LogRecord[]) {
  const log = {
    records: records.map((each) => ({ ...each, timeMs: startMs + each.seq * 1_000 })),
    ranges: [] as ReadRange[],
    async *read(_topic: string, _partition: number, range: ReadRange): AsyncGenerator<readonly LogRecord[]> {
      log.ranges.push(range);
      const { from, until = Number.POSITIVE_INFINITY } = range;
      const some = log.records.filter(({ seq, unreadable }) => (unreadable?.until ?? seq + 1) > from && seq < until);
      yield* inBatches(some);
    },
    bounds: async () => [{ first: log.records[0]!.seq, next: log.records.at(-1)!.seq + 1 }],
    positionsAt: async (_topic: string, timeMs: number) => [
      log.records.find((each) => each.timeMs >= timeMs)?.seq ?? log.records.at(-1)!.seq + 1,
    ],
  };
  return log;
}

function reading(
  records: readonly LogRecord[],
  repeatsOf: () => Promise<KnownRepeats | undefined> = async () => undefined,
) {
  const log = logOf(records);
  const node = createLocalNode({ partitions: 1, owned: false });
  const parts = { ...logRangesOf(log), repeatsOf };
  const covers = (device: string) => device === 'p.d';
  const range = (from: number, until: number) => new LogRange(node.partitions[0]!, covers, { from, until }, parts);
  const whole = async (from: number, until: number) => {
    const selection = { covers, pattern: '>', isSubtree: true };
    const read = await runUnscheduled(readRange(selection, { partition: node.partitions[0]!, from, until }, parts));
    const { from: start, missing, reports } = read;
    assert.equal(read.until, until);
    return { from: start, missing, reports: reports.map(({ seq }) => seq) };
  };
  return { log, node, parts, range, whole };
}

/** IDs by position; every third record is another device's. */
function recordsOf(count: number, ids: Readonly<Record<number, string>> = {}): LogRecord[] {
  return Array.from({ length: count }, (_, seq) => record(seq % 3 === 2 ? 'q.e' : 'p.d', seq, seq, ids[seq]));
}

const wanted = (from: number, until: number, except: readonly number[] = []) =>
  Array.from({ length: until - from }, (_, i) => from + i).filter((seq) => seq % 3 !== 2 && !except.includes(seq));

test('a range of reports without IDs is read as it is, and nothing before it', async () => {
  const { whole, log, parts } = reading(recordsOf(1_500));
  assert.deepEqual(await whole(1_200, 1_400), { from: 1_200, reports: wanted(1_200, 1_400), missing: [] });
  assert.ok(log.ranges.every(({ from }) => from >= 1_000));
  assert.equal(parts.counts.lookbacks, 0);
});

test('reports that repeat an ID of the window before the range are left out, and one that is older counts as new', async () => {
  // 1,000 and 1,300 repeat what is at most 120 s older, 1,202 repeats what is 300 s older.
  const ids = { 880: 'a', 1000: 'a', 901: 'b', 1201: 'b', 1299: 'c', 1300: 'c' };
  const { whole, log, parts } = reading(recordsOf(1_500, ids));
  const { reports } = await whole(1_000, 1_400);
  assert.deepEqual(reports, wanted(1_000, 1_400, [1_000, 1_300]));
  assert.equal(parts.counts.lookbacks, 1);
  assert.ok(log.ranges.every(({ from }) => from >= 0));
});

test('the IDs of a lookback take memory as they grow, and the oldest are forgotten where there is none', async () => {
  const ids = Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [i, `id${i}`]));
  const { parts, node, log } = reading(recordsOf(4_000, { ...ids, 3000: 'id2997', 3001: 'new' }));
  log.records = log.records.map((each) => ({ ...each, timeMs: startMs + each.seq * 20 }));
  const read = async (bytesMax: number) => {
    let bytes = 0;
    const grow = (more: number) => {
      if (bytes + more > bytesMax) return false;
      bytes += more;
      return true;
    };
    const [partition] = node.partitions;
    const range = new LogRange(partition!, () => true, { from: 3_000, until: 3_002 }, parts, { memory: { grow } });
    const { reports } = await runUnscheduled(range.read());
    return { bytes, reports: reports.map(({ seq }) => seq) };
  };
  const whole = await read(Number.POSITIVE_INFINITY);
  assert.deepEqual(whole.reports, [3_001]);
  assert.ok(whole.bytes > 3_000 * 8, `${whole.bytes} bytes`);
  assert.equal(parts.counts.shortLookbacks, 0);
  const little = await read(whole.bytes / 2);
  assert.ok(little.bytes <= whole.bytes / 2);
  assert.equal(parts.counts.shortLookbacks, 0, 'what was read so is sent to no client');
});

test('if another node knows which positions repeat an ID, no lookback is needed', async () => {
  const asked: unknown[] = [];
  const { whole, parts } = reading(recordsOf(1_500, { 1000: 'a', 1003: 'b' }), async (...range) => {
    asked.push(range);
    return new Set([1_000]);
  });
  assert.deepEqual((await whole(1_000, 1_010)).reports, wanted(1_000, 1_010, [1_000]));
  assert.deepEqual(asked, [[0, 1_000, 1_010]]);
  assert.equal(parts.counts.lookbacks, 0);
  const unknown = reading(recordsOf(1_500, { 990: 'a', 1000: 'a' }), async () => undefined);
  assert.deepEqual((await unknown.whole(1_000, 1_010)).reports, wanted(1_000, 1_010, [1_000]));
  assert.equal(unknown.parts.counts.lookbacks, 1);
});

test('a node that has read the partition itself knows by position what it did not deliver', async () => {
  const records = recordsOf(300, { 100: 'a', 201: 'a', 202: 'b' });
  const { whole, node, parts, log } = reading(records);
  node.clock.setWallClock(startMs + 1_000_000);
  node.partitions[0]!.gain(1, 0, 0);
  node.partitions[0]!.accept(log.records);
  assert.deepEqual((await whole(150, 300)).reports, wanted(150, 300, [201]));
  assert.equal(parts.counts.lookbacks, 0);
});

test('records that retention has deleted are named as skipped, and nothing before them is sent', async () => {
  const { whole } = reading(recordsOf(2_500).slice(1_500));
  assert.deepEqual(await whole(10, 2_000), {
    from: 1_500,
    reports: wanted(1_500, 2_000),
    missing: [{ partition: 0, from: 10, to: 1_499, reason: 'retention' }],
  });
  assert.deepEqual(await whole(10, 1_000), {
    from: 1_000,
    reports: [],
    missing: [{ partition: 0, from: 10, to: 999, reason: 'retention' }],
  });
});

test('retention that overtakes a reader stops the range, and of a whole one it removes what was read', async () => {
  const { range, whole, log } = reading(recordsOf(3_000));
  const stopped = range(0, 2_500);
  assert.equal((await runUnscheduled(stopped.read())).reports.length, wanted(0, 1_000).length);
  log.records = log.records.slice(1_700);
  assert.deepEqual(await runUnscheduled(stopped.read()), { reports: [] });
  assert.deepEqual([stopped.isTruncated, stopped.isComplete, stopped.next, stopped.first], [true, true, 1_000, 1_700]);
  // The first block is remembered.
  assert.deepEqual(await whole(0, 2_500), {
    from: 1_700,
    reports: wanted(1_700, 2_500),
    missing: [{ partition: 0, from: 0, to: 1_699, reason: 'retention' }],
  });
});

test('unreadable records are named after the reports before them', async () => {
  const hole = unreadableRecord(40, { until: 60, reason: 'checksum', message: 'expected 1, got 2' });
  const records = recordsOf(100);
  const { range, whole } = reading([...records.slice(0, 40), hole, ...records.slice(60)]);
  const missing = { partition: 0, from: 40, to: 59, reason: 'unreadable' };
  assert.deepEqual(await whole(10, 100), {
    from: 10,
    reports: [...wanted(10, 40), ...wanted(60, 100)],
    missing: [missing],
  });
  const parts = range(10, 100);
  const chunks = [];
  while (!parts.isComplete) chunks.push(await runUnscheduled(parts.read()));
  assert.deepEqual(
    chunks.map((chunk) => [chunk.reports.length, chunk.missing]),
    [
      [wanted(10, 40).length, undefined],
      [0, missing],
      [wanted(60, 100).length, undefined],
    ],
  );
});

test('a chunk that could not be read is returned by the next call', async () => {
  const { range, log } = reading(recordsOf(100, { 51: 'a', 60: 'a' }));
  const { positionsAt } = log;
  log.positionsAt = async () => assert.fail('no broker');
  const part = range(45, 100);
  await assert.rejects(runUnscheduled(part.read()));
  log.positionsAt = positionsAt;
  const { reports } = await runUnscheduled(part.read());
  assert.deepEqual(
    reports.map(({ seq }) => seq),
    wanted(45, 100, [60]),
  );
});

test('a record in the cache that retention has deleted, and the records that it may repeat, are not returned', async () => {
  const { whole, log } = reading(recordsOf(2_500, { 1200: 'a', 1300: 'a', 1800: 'b' }));
  await whole(1_250, 1_260);
  await whole(1_290, 2_000);
  log.records = log.records.slice(1_400);
  assert.deepEqual(await whole(1_290, 2_000), {
    from: 1_400,
    reports: wanted(1_400, 2_000),
    missing: [{ partition: 0, from: 1_290, to: 1_399, reason: 'retention' }],
  });
});

/** Memory of which so many bytes are free. */
function memoryOf(free: number) {
  const memory = {
    free,
    grow(bytes: number) {
      if (bytes > memory.free) return false;
      memory.free -= bytes;
      return true;
    },
  };
  return memory;
}

test('IDs take the memory that is reserved for them first, then free memory', () => {
  const memory = memoryOf(1_000);
  const reservation = new IdReservation(500, memory);
  assert.equal(reservation.grow(400), true);
  assert.equal(memory.free, 1_000);
  assert.equal(reservation.grow(600), true);
  assert.deepEqual([memory.free, reservation.isShort], [400, false]);
});

test('a reader that was short of memory for IDs reserves twice as much the next time', () => {
  const reservation = new IdReservation(0, memoryOf(100_000));
  assert.deepEqual([reservation.grow(90_000), reservation.grow(30_000), reservation.grow(5_000)], [true, false, true]);
  assert.deepEqual([reservation.isShort, reservation.nextBytes], [true, 240_000]);
  const little = new IdReservation(0, memoryOf(0));
  little.grow(512);
  assert.equal(little.nextBytes, 65_536);
});
