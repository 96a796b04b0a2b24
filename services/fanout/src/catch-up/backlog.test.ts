import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogRecord, unreadableRecord } from '@tailrace/eventlog/event-log';
import { createLocalNode } from '../../test/local-node.ts';
import { logRangesOf } from '../../test/log-ranges.ts';
import { inBatches, record, recordsIn } from '../../test/records.ts';
import { runUnscheduled } from '../../test/run-unscheduled.ts';
import { Backlog, readRange } from './backlog.ts';

/** A log of one partition that starts at its first record. */
function logOf(records: readonly LogRecord[]) {
  return {
    async *read(_topic: string, _partition: number, range: { from: number; until?: number }) {
      const { from, until = Number.POSITIVE_INFINITY } = range;
      const some = recordsIn(records, from, until);
      yield* inBatches(some);
    },
    bounds: async () => [{ first: records[0]!.seq, next: records.at(-1)!.seq + 1 }],
  };
}

async function readAll(backlog: Backlog, bytesMax: number): Promise<number[][]> {
  const parts: number[][] = [];
  const next = () => runUnscheduled(backlog.next(bytesMax));
  for (let reports = await next(); reports.length > 0; reports = await next()) {
    parts.push(reports.map(({ logReport }) => logReport.seq));
  }
  return parts;
}

function backlogOf(records: readonly LogRecord[], pattern: string, from: number): Backlog {
  const node = createLocalNode({ partitions: 1, owned: false });
  const log = logOf(records);
  const ranges = [{ partition: node.partitions[0]!, from, until: records.at(-1)!.seq + 1 }];
  return new Backlog(node.channels.open(pattern), ranges, logRangesOf(log));
}

test('records that the log no longer has are named as skipped, and the others are sent', async () => {
  const records = Array.from({ length: 10 }, (_, i) => record('p.d', 1_000_010 + i));
  const backlog = backlogOf(records, 'p.>', 1_000_005);
  assert.deepEqual(
    (await readAll(backlog, 1)).flat(),
    records.map(({ seq }) => seq),
  );
  assert.deepEqual(backlog.missing, [{ partition: 0, from: 1_000_005, to: 1_000_009, reason: 'retention' }]);
  assert.deepEqual([...backlog.reached()], [[0, 1_000_020]]);
});

test('a little is read at a time, of what the channel covers, and a report repeated across the beginning does not come again', async () => {
  const records = Array.from({ length: 2_500 }, (_, seq) =>
    record(seq % 5 === 0 ? 'p.d' : 'p.e', seq, seq, seq === 1_495 || seq === 1_505 ? 'same' : undefined),
  );
  const backlog = backlogOf(records, 'p.d', 1_500);
  const parts = await readAll(backlog, 200);
  const expected = records.map(({ seq }) => seq).filter((seq) => seq >= 1_500 && seq % 5 === 0 && seq !== 1_505);
  assert.deepEqual(parts.flat(), expected);
  assert.ok(
    parts.every((part) => part.length < 20),
    'a little at a time',
  );
  assert.deepEqual(backlog.missing, []);
});

test('where retention overtakes a backlog it stops there, and the next one starts with what is missing', async () => {
  const records = Array.from({ length: 3_000 }, (_, seq) => record('p.d', seq, seq));
  const node = createLocalNode({ partitions: 1, owned: false });
  let kept: readonly LogRecord[] = records;
  const log = {
    read: (topic: string, partition: number, range: { from: number; until?: number }) =>
      logOf(kept).read(topic, partition, range),
    bounds: () => logOf(kept).bounds(),
  };
  const parts = logRangesOf(log);
  const from = (seq: number) =>
    new Backlog(
      node.channels.open('p.>'),
      [{ partition: node.partitions[0]!, from: seq, until: records.length }],
      parts,
    );
  const first = from(0);
  const returned = (await runUnscheduled(first.next(1))).map(({ logReport }) => logReport.seq);
  kept = records.slice(1_500);
  returned.push(...(await readAll(first, 10_000)).flat());
  assert.deepEqual(returned, range(0, 1_000), 'what was read already');
  assert.deepEqual([first.isTruncated, first.missing, [...first.reached()]], [true, [], [[0, 1_000]]]);
  const second = from(1_000);
  assert.deepEqual((await readAll(second, 10_000)).flat(), range(1_500, 3_000));
  assert.deepEqual(second.missing, [{ partition: 0, from: 1_000, to: 1_499, reason: 'retention' }]);
  assert.equal(second.isTruncated, false);
});

test('what the log cannot read is named after everything before it, and before everything behind it', async () => {
  const gap = (seq: number, until: number) => unreadableRecord(seq, { until, reason: 'codec', message: 'unknown' });
  const records = [
    gap(0, 2),
    ...[2, 3, 4].map((seq) => record('p.d', seq)),
    gap(5, 7),
    gap(7, 8),
    ...[8, 9].map((seq) => record('p.d', seq)),
    gap(10, 12),
    record('p.d', 12),
  ];
  const backlog = backlogOf(records, 'p.>', 0);
  const returned: (number | string)[] = [];
  for (;;) {
    const reports = await runUnscheduled(backlog.next(100_000));
    returned.push(...backlog.missing.splice(0).map(({ from, to, reason }) => `${from}-${to} ${reason}`));
    if (reports.at(-1)?.logReport.seq === 4) assert.deepEqual([...backlog.reached()], [[0, 5]], 'nothing unnamed');
    if (reports.length === 0) break;
    returned.push(...reports.map(({ logReport }) => logReport.seq));
  }
  const named = (...ranges: string[]) => ranges.map((range) => `${range} unreadable`);
  assert.deepEqual(returned, [...named('0-1'), 2, 3, 4, ...named('5-6', '7-7'), 8, 9, ...named('10-11'), 12]);
  assert.deepEqual([...backlog.reached()], [[0, 13]]);
  assert.equal(backlog.isTruncated, false);
});

const range = (from: number, until: number) => Array.from({ length: until - from }, (_, i) => from + i);

test('the reports of one device are found in steps whose work does not grow with their number', async () => {
  const node = createLocalNode({ partitions: 1, windowBytesMax: 100_000_000 });
  const [partition] = node.partitions;
  const count = 20_000;
  partition!.accept(Array.from({ length: count }, (_, seq) => record(seq % 2 === 0 ? 'p.d' : 'p.e', seq)));
  const { window } = partition!;
  let checked = 0;
  const at = window.at.bind(window);
  window.at = (seq) => {
    checked++;
    return at(seq);
  };
  const range = { partition: partition!, from: 1_000, until: count - 1_000 };
  const reading = readRange(node.channels.open('p.d'), range, logRangesOf(logOf([record('p.d', 0)])));
  let all = 0;
  for (;;) {
    const { done, value } = reading.next();
    assert.ok(checked <= 500, `${checked} reports were looked up in one step`);
    all += checked;
    checked = 0;
    if (done !== true) continue;
    const expected = Array.from({ length: (count - 2_000) / 2 }, (_, i) => 1_000 + 2 * i);
    assert.deepEqual(
      value.reports.map(({ seq }) => seq),
      expected,
    );
    break;
  }
  assert.ok(all <= count / 2, `${all} reads for ${count / 2} reports`);
});
