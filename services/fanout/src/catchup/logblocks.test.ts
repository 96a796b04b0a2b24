import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogRecord, type ReadRange, unreadableRecord } from '@tailrace/eventlog/eventlog';
import { TailraceError } from '@tailrace/protocol/error';
import { LogBlocks } from './logblocks.ts';

/** A partition with a record at every position from `first` on but those that end in 3, and the ranges that were read of it. */
function logWith(options: { failures?: number } = {}) {
  const ranges: string[] = [];
  let failures = options.failures ?? 0;
  return {
    ranges,
    first: 0,
    async *read(_topic: string, _partition: number, { from, until }: ReadRange): AsyncGenerator<readonly LogRecord[]> {
      ranges.push(`${from} ${until}`);
      await Promise.resolve();
      if (failures-- > 0) throw new TailraceError('unavailable', 'no broker');
      for (let seq = Math.max(from, this.first); seq < until!; seq++) {
        if (seq % 10 !== 3) yield [{ seq, key: 'p.d', value: new Uint8Array([seq % 256]), timeMs: seq } as LogRecord];
      }
    },
  };
}

async function seqs(blocks: LogBlocks, from: number, until: number): Promise<number[]> {
  const found: number[] = [];
  for await (const records of blocks.read(0, from, until)) for (const { seq } of records) found.push(seq);
  return found;
}

const expected = (from: number, until: number) =>
  Array.from({ length: until - from }, (_, i) => from + i).filter((seq) => seq % 10 !== 3);

test('ranges over several blocks are answered whole, and read once', async () => {
  const log = logWith();
  const blocks = new LogBlocks(log, 't', 10);
  assert.deepEqual(await seqs(blocks, 990, 2_013), expected(990, 2_013));
  assert.deepEqual(await seqs(blocks, 1_500, 2_000), expected(1_500, 2_000));
  assert.deepEqual(log.ranges, ['0 1000', '1000 2000', '2000 2013']);
  assert.deepEqual(blocks.counts, { read: 3, shared: 1 });
});

test('a block that has grown is read on from where it ended', async () => {
  const log = logWith();
  const blocks = new LogBlocks(log, 't', 10);
  assert.deepEqual(await seqs(blocks, 10, 100), expected(10, 100));
  assert.deepEqual(await seqs(blocks, 20, 150), expected(20, 150));
  assert.deepEqual(await seqs(blocks, 20, 120), expected(20, 120));
  assert.deepEqual(log.ranges, ['0 100', '100 150']);
});

test('a block that grows when retention has come past its end is read again, so that there is no hole in it', async () => {
  const log = logWith();
  const blocks = new LogBlocks(log, 't', 10);
  assert.deepEqual(await seqs(blocks, 0, 50), expected(0, 50));
  log.first = 81;
  assert.deepEqual(await seqs(blocks, 0, 100), expected(81, 100));
});

test('who asks while others read waits for them, and reads only what they do not', async () => {
  const log = logWith();
  const blocks = new LogBlocks(log, 't', 10);
  const asked = [80, 100, 90, 130].map((until) => seqs(blocks, 0, until));
  const answers = await Promise.all(asked);
  assert.deepEqual(
    answers.map(({ length }) => length),
    [80, 100, 90, 130].map((until) => expected(0, until).length),
  );
  assert.deepEqual(log.ranges, ['0 80', '80 100', '100 130']);
});

test('a reading that failed is tried again by the next who asks', async () => {
  const log = logWith({ failures: 1 });
  const blocks = new LogBlocks(log, 't', 10);
  const [first, second] = await Promise.allSettled([seqs(blocks, 0, 50), seqs(blocks, 0, 50)]);
  assert.equal(first?.status, 'rejected');
  assert.deepEqual(second?.status === 'fulfilled' && second.value, expected(0, 50));
});

test('beyond the bound the block that was first is forgotten', async () => {
  const log = logWith();
  const blocks = new LogBlocks(log, 't', 2);
  await seqs(blocks, 0, 3_000);
  await seqs(blocks, 1_000, 3_000);
  assert.equal(log.ranges.length, 3);
  await seqs(blocks, 0, 10);
  assert.deepEqual(log.ranges.at(-1), '0 10');
});

test('what the log cannot read is given as far as it lies in the range', async () => {
  const gap = unreadableRecord(5, { until: 20, reason: 'checksum', message: 'damaged' });
  const log = {
    async *read() {
      await Promise.resolve();
      yield [gap];
    },
  };
  const blocks = new LogBlocks(log, 't', 10);
  const given = async (from: number, until: number) => {
    const found: (number | undefined)[][] = [];
    for await (const records of blocks.read(0, from, until)) {
      for (const { seq, unreadable } of records) found.push([seq, unreadable?.until]);
    }
    return found;
  };
  assert.deepEqual(await given(0, 30), [[5, 20]]);
  assert.deepEqual(await given(0, 10), [[5, 10]]);
  assert.deepEqual(await given(8, 30), [[8, 20]]);
  assert.deepEqual(await given(8, 12), [[8, 12]]);
  assert.deepEqual(await given(20, 30), []);
});
