import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogRecord, type ReadRange, unreadableRecord } from '@tailrace/eventlog/event-log';
import { TailraceError } from '@tailrace/protocol/error';
import { runUnscheduled } from '../../test/run-unscheduled.ts';
import { LogBlocks } from './log-blocks.ts';

const batchRecords = 100;

/**
 * A partition with a record at every position from `first` on but those that end in 3, in batches, and the ranges
 * that were read of it.
 */
function logWith(options: { failures?: number; valueBytes?: number } = {}) {
  const { valueBytes = 300 } = options;
  const ranges: string[] = [];
  let failures = options.failures ?? 0;
  return {
    ranges,
    first: 0,
    async *read(_topic: string, _partition: number, range: ReadRange): AsyncGenerator<readonly LogRecord[]> {
      const { from, until, background } = range;
      ranges.push(`${from} ${until}`);
      assert.ok(background);
      await Promise.resolve();
      if (failures-- > 0) throw new TailraceError('unavailable', 'no broker');
      let batch: LogRecord[] = [];
      for (let seq = Math.max(from, this.first); seq < until!; seq++) {
        if (seq % 10 !== 3) batch.push({ seq, key: 'p.d', value: new Uint8Array(valueBytes), timeMs: seq });
        if (batch.length < batchRecords) continue;
        yield batch;
        batch = [];
      }
      if (batch.length > 0) yield batch;
    },
  };
}

/** All of a range, one block after the other. */
async function seqs(blocks: LogBlocks, from: number, until: number, partition = 0): Promise<number[]> {
  const found: number[] = [];
  for (let at = from; at < until; ) {
    const { records, next } = await runUnscheduled(blocks.read(partition, at, until, () => true));
    assert.ok(next > at);
    for (const { seq } of records) found.push(seq);
    at = next;
  }
  return found;
}

const expected = (from: number, until: number) =>
  Array.from({ length: until - from }, (_, i) => from + i).filter((seq) => seq % 10 !== 3);

test('a range is answered whole in blocks, and read once', async () => {
  const log = logWith();
  const blocks = new LogBlocks(log, 't', 1e9);
  assert.deepEqual(await seqs(blocks, 990, 1_513), expected(990, 1_513));
  const { read } = blocks.counts;
  assert.equal(read, log.ranges.length);
  assert.deepEqual(await seqs(blocks, 1_100, 1_500), expected(1_100, 1_500));
  assert.deepEqual(await seqs(blocks, 995, 1_513), expected(995, 1_513));
  assert.equal(blocks.counts.read, read);
  assert.ok(blocks.counts.shared > 0);
});

test('what was read grows, and what lies before it is read up to it', async () => {
  const log = logWith();
  const blocks = new LogBlocks(log, 't', 1e9);
  await seqs(blocks, 500, 550);
  assert.deepEqual(await seqs(blocks, 520, 600), expected(520, 600));
  assert.deepEqual(log.ranges, ['500 550', '550 600']);
  assert.deepEqual(await seqs(blocks, 300, 600), expected(300, 600));
  assert.equal(log.ranges.at(-1)?.split(' ')[1], '500');
});

test('clients that resume at nearly the same position share the records that were read', async () => {
  const log = logWith();
  const blocks = new LogBlocks(log, 't', 1e9);
  await seqs(blocks, 5_000, 5_010);
  const froms = Array.from({ length: 300 }, (_, i) => 4_000 - (i % 30));
  const answers = await Promise.all(froms.map((from) => seqs(blocks, from, 4_200)));
  for (const [i, answer] of answers.entries()) assert.deepEqual(answer, expected(froms[i]!, 4_200));
  assert.ok(log.ranges.length < 8, log.ranges.join(', '));
});

test('large records outside the requested range are not read', async () => {
  const log = logWith({ valueBytes: 200_000 });
  const blocks = new LogBlocks(log, 't', 1e9);
  await seqs(blocks, 100, 110);
  await seqs(blocks, 177, 180);
  assert.deepEqual(log.ranges, ['100 110', '177 180']);
});

test('a block that grows after retention has passed its end lacks the deleted records, and no others', async () => {
  const log = logWith();
  const blocks = new LogBlocks(log, 't', 1e9);
  assert.deepEqual(await seqs(blocks, 0, 50), expected(0, 50));
  log.first = 81;
  assert.deepEqual(await seqs(blocks, 0, 100), [...expected(0, 50), ...expected(81, 100)]);
});

test('a read that failed is repeated by the next request', async () => {
  const log = logWith({ failures: 1 });
  const blocks = new LogBlocks(log, 't', 1e9);
  const [first, second] = await Promise.allSettled([seqs(blocks, 0, 50), seqs(blocks, 0, 50)]);
  assert.equal(first?.status, 'rejected');
  assert.deepEqual(second?.status === 'fulfilled' && second.value, expected(0, 50));
});

test('beyond its bytes what was used longest ago is forgotten', async () => {
  const log = logWith();
  const blocks = new LogBlocks(log, 't', 150_000);
  await seqs(blocks, 0, 100);
  await seqs(blocks, 0, 300, 1);
  await seqs(blocks, 0, 100);
  assert.ok(blocks.bytes < 200_000, `${blocks.bytes} bytes`);
  const { read } = blocks.counts;
  await seqs(blocks, 0, 100);
  assert.equal(blocks.counts.read, read, 'used of late');
  await seqs(blocks, 0, 300, 1);
  assert.ok(blocks.counts.read > read);
  assert.ok(blocks.bytes < 200_000, `${blocks.bytes} bytes`);
});

test('unreadable records are returned as far as they lie in the range', async () => {
  const gap = unreadableRecord(5, { until: 20, reason: 'checksum', message: 'damaged' });
  const log = {
    async *read(_topic: string, _partition: number, { from }: ReadRange) {
      await Promise.resolve();
      if (from < 20) yield [gap];
    },
  };
  const given = async (from: number, until: number, blocks = new LogBlocks(log, 't', 10)) => {
    const { records } = await runUnscheduled(blocks.read(0, from, until, () => true));
    return records.map(({ seq, unreadable }) => [seq, unreadable?.until]);
  };
  const blocks = new LogBlocks(log, 't', 1e9);
  await given(0, 30, blocks);
  for (const remembered of [undefined, blocks]) {
    assert.deepEqual(await given(0, 30, remembered), [[5, 20]]);
    assert.deepEqual(await given(0, 10, remembered), [[5, 10]]);
    assert.deepEqual(await given(8, 30, remembered), [[8, 20]]);
    assert.deepEqual(await given(8, 12, remembered), [[8, 12]]);
    assert.deepEqual(await given(20, 30, remembered), []);
  }
});

test('of a block without gaps, the records of the selected keys are returned, in any part of it and as it grows', async () => {
  const keys = ['p.a', 'p.b', 'p.c'];
  const log = {
    async *read(_topic: string, _partition: number, { from, until }: ReadRange): AsyncGenerator<readonly LogRecord[]> {
      const seqsOf = Array.from({ length: until! - from }, (_, i) => from + i);
      yield seqsOf.map((seq) => ({ seq, key: keys[seq % 3]!, value: new Uint8Array(10), timeMs: seq }));
    },
  };
  const blocks = new LogBlocks(log, 't', 1e9);
  for (const [from, until] of [
    [0, 60],
    [7, 31],
    [7, 90],
    [0, 90],
  ] as const) {
    for (const wanted of [['p.b'], ['p.c', 'p.a'], keys, []]) {
      const found: number[] = [];
      for (let at = from as number; at < until; ) {
        const part = await runUnscheduled(blocks.read(0, at, until, (key) => wanted.includes(key)));
        assert.ok(part.isWhole);
        for (const { seq } of part.records) found.push(seq);
        at = part.next;
      }
      const all = Array.from({ length: until - from }, (_, i) => from + i);
      assert.deepEqual(
        found,
        all.filter((seq) => wanted.includes(keys[seq % 3]!)),
      );
    }
  }
});

test('a block with a gap or an unreadable position is returned whole, so that the reader sees it', async () => {
  const blocks = new LogBlocks(logWith(), 't', 1e9);
  const { records, isWhole } = await runUnscheduled(blocks.read(0, 0, 10, () => false));
  assert.deepEqual([records.length, isWhole], [9, false]);
});
