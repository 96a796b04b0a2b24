import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogRecord } from './event-log.ts';
import { RecordBuffer } from './record-buffer.ts';

function recordsFrom(seq: number, count: number): LogRecord[] {
  return Array.from({ length: count }, (_, n) => ({ seq: seq + n, timeMs: 0, key: 'k', value: new Uint8Array(10) }));
}

const seqsOf = (records: readonly LogRecord[]) => records.map(({ seq }) => seq);

test('records are taken in the order of their partition, over all pushes, and not beyond the limit', () => {
  const buffer = new RecordBuffer({ recordsMax: 100, bytesMax: 1_000 });
  const queue = buffer.open('t', 0);
  buffer.push(queue, recordsFrom(0, 3), 30);
  buffer.push(queue, recordsFrom(3, 4), 40);
  assert.deepEqual(seqsOf(buffer.take(5)[0]!.records), [0, 1, 2, 3, 4]);
  assert.deepEqual(seqsOf(buffer.take(5)[0]!.records), [5, 6]);
  assert.deepEqual(buffer.take(5), []);
  assert.equal(buffer.records, 0);
});

test('many small chunks are taken as one batch, and the pushed chunks do not change', () => {
  const buffer = new RecordBuffer({ recordsMax: 1_000, bytesMax: 100_000 });
  const queue = buffer.open('t', 0);
  const chunks = Array.from({ length: 200 }, (_, n) => recordsFrom(n * 3, 3));
  for (const chunk of chunks) buffer.push(queue, chunk, 30);
  const [batch] = buffer.take(500);
  assert.deepEqual(
    seqsOf(batch!.records),
    Array.from({ length: 500 }, (_, n) => n),
  );
  assert.deepEqual(
    seqsOf(buffer.take(500)[0]!.records),
    Array.from({ length: 100 }, (_, n) => 500 + n),
  );
  assert.ok(chunks.every(({ length }) => length === 3));
});

test('a chunk that is taken whole is not copied', () => {
  const buffer = new RecordBuffer({ recordsMax: 100, bytesMax: 1_000 });
  const records = recordsFrom(0, 3);
  buffer.push(buffer.open('t', 0), records, 30);
  assert.equal(buffer.take(10)[0]!.records, records);
});

test('if not all records fit, each partition has its share, and small ones leave theirs to the others', () => {
  const buffer = new RecordBuffer({ recordsMax: 1_000, bytesMax: 100_000 });
  const [large, small, other] = [0, 1, 2].map((partition) => buffer.open('t', partition));
  buffer.push(large!, recordsFrom(0, 400), 4_000);
  buffer.push(small!, recordsFrom(0, 5), 50);
  buffer.push(other!, recordsFrom(0, 100), 1_000);
  const taken = new Map(buffer.take(90).map(({ partition, records }) => [partition, records.length]));
  assert.equal(taken.get(1), 5);
  assert.ok(taken.get(0)! >= 30 && taken.get(2)! >= 30);
  assert.equal(
    [...taken.values()].reduce((sum, count) => sum + count),
    90,
  );
});

test('if fewer records than partitions fit, successive calls take from all partitions', () => {
  const buffer = new RecordBuffer({ recordsMax: 1_000, bytesMax: 100_000 });
  for (let partition = 0; partition < 5; partition++) buffer.push(buffer.open('t', partition), recordsFrom(0, 9), 90);
  const served = new Set<number>();
  for (let n = 0; n < 5; n++) for (const { partition } of buffer.take(2)) served.add(partition);
  assert.equal(served.size, 5);
});

function recordsOfSizes(sizes: readonly number[]): LogRecord[] {
  return sizes.map((size, seq) => ({ seq, timeMs: 0, key: '', value: new Uint8Array(size) }));
}

const bytesIn = (records: readonly LogRecord[]) => records.reduce((sum, { value }) => sum + value.length, 0);

test('a few large records among many small ones do not exceed the bytes of a take', () => {
  const sizes = [...Array(1_000).fill(100), ...Array(30).fill(40_000), ...Array(1_000).fill(100)];
  const total = sizes.reduce((sum, size) => sum + size);
  for (const isOneChunk of [true, false]) {
    const buffer = new RecordBuffer({ recordsMax: 100_000, bytesMax: 10 * total });
    const [mixed, small] = [buffer.open('t', 0), buffer.open('t', 1)];
    const records = recordsOfSizes(sizes);
    if (isOneChunk) buffer.push(mixed, records, total);
    else for (const record of records) buffer.push(mixed, [record], record.value.length);
    buffer.push(small, recordsOfSizes(Array(3_000).fill(100)), 300_000);
    const seqs: number[][] = [[], []];
    while (buffer.records > 0) {
      const batches = buffer.take(500, 131_072);
      const taken = batches.reduce((sum, batch) => sum + bytesIn(batch.records), 0);
      assert.ok(taken > 0 && taken <= 131_072, `${taken} bytes`);
      for (const { partition, records: some } of batches) seqs[partition]!.push(...seqsOf(some));
    }
    assert.equal(buffer.bytes, 0);
    assert.deepEqual(
      seqs.map((each) => each.length),
      [2_030, 3_000],
    );
    for (const each of seqs) assert.ok(each.every((seq, n) => seq === n));
  }
});

test('a record larger than a take is taken alone, and no partition waits for ever', () => {
  const buffer = new RecordBuffer({ recordsMax: 100_000, bytesMax: 10_000_000 });
  const queues = [0, 1, 2, 3].map((partition) => buffer.open('t', partition));
  for (const n of [0, 2]) buffer.push(queues[n]!, recordsOfSizes(Array(5).fill(200_000)), 1_000_000);
  const largeTaken = [0, 0];
  for (let call = 0; call < 20; call++) {
    for (const n of [1, 3]) buffer.push(queues[n]!, recordsOfSizes([100]), 100);
    const batches = buffer.take(500, 131_072);
    const bytes = batches.map(({ records }) => bytesIn(records));
    assert.ok(bytes[0] === 200_000 ? batches.length === 1 : bytes.every((each) => each < 131_072));
    for (const { partition, records } of batches) if (partition % 2 === 0) largeTaken[partition / 2]! += records.length;
  }
  assert.deepEqual(largeTaken, [5, 5]);
});

test('a batch that is put back before a chunk that was taken in part keeps order and bytes', () => {
  const buffer = new RecordBuffer({ recordsMax: 100, bytesMax: 100_000 });
  buffer.push(buffer.open('t', 0), recordsOfSizes([1_000, 10, 10, 3_000, 10]), 4_100);
  const [first] = buffer.take(2);
  assert.equal(first!.bytes, 1_010);
  buffer.putBack(first!);
  assert.equal(buffer.bytes, 4_100);
  const taken = [buffer.take(1), buffer.take(2), buffer.take(9)].map(([batch]) => batch!);
  assert.deepEqual(
    taken.flatMap(({ records }) => seqsOf(records)),
    [0, 1, 2, 3, 4],
  );
  assert.equal(buffer.bytes, 0);
});

test('the responses of several brokers together do not exceed the bytes of the buffer', () => {
  const buffer = new RecordBuffer({ recordsMax: 100_000, bytesMax: 1_000_000 });
  const queues = [0, 1, 2, 3].map((partition) => buffer.open('t', partition));
  // Each of them was requested while there was capacity.
  const accepted = queues.map((queue) => buffer.push(queue, recordsOfSizes(Array(400).fill(1_000)), 400_000));
  assert.deepEqual(accepted, [400, 400, 200, 0]);
  assert.equal(buffer.bytes, 1_000_000);
  buffer.take(100_000);
  assert.equal(buffer.push(queues[3]!, recordsOfSizes([2_000_000]), 2_000_000), 1, 'a larger record than all of it');
});

test('at half of a limit there is no capacity, and no more than the limit is accepted', async () => {
  const buffer = new RecordBuffer({ recordsMax: 10, bytesMax: 1_000 });
  const queue = buffer.open('t', 0);
  assert.equal(buffer.push(queue, recordsFrom(0, 4), 40), 4);
  assert.ok(buffer.hasCapacity());
  assert.equal(buffer.push(queue, recordsFrom(4, 8), 80), 6);
  assert.ok(!buffer.hasCapacity());
  assert.equal(buffer.push(queue, recordsFrom(10, 1), 10), 0);
  const room = buffer.whenCapacity();
  assert.equal(buffer.take(10)[0]!.records.length, 10);
  await room;
  buffer.push(queue, recordsFrom(10, 1), 500);
  assert.ok(!buffer.hasCapacity(), 'bytes count too');
});

test('no record is taken from a held queue; a closed one drops its records and accepts none', async () => {
  const buffer = new RecordBuffer({ recordsMax: 10, bytesMax: 1_000 });
  const queue = buffer.open('t', 0);
  buffer.push(queue, recordsFrom(0, 10), 100);
  queue.isHeld = true;
  assert.deepEqual(buffer.take(10), []);
  queue.isHeld = false;
  const [batch] = buffer.take(4);
  const room = buffer.whenCapacity();
  buffer.remove(queue);
  await room;
  assert.equal(buffer.records, 0);
  buffer.putBack(batch!);
  assert.equal(buffer.push(queue, recordsFrom(20, 1), 10), 0);
  assert.equal(buffer.records, 0);
});

test('a batch that is put back is the first again', () => {
  const buffer = new RecordBuffer({ recordsMax: 10, bytesMax: 1_000 });
  const queue = buffer.open('t', 0);
  buffer.push(queue, recordsFrom(0, 2), 20);
  const [batch] = buffer.take(2);
  buffer.push(queue, recordsFrom(2, 2), 20);
  buffer.putBack(batch!);
  assert.deepEqual(seqsOf(buffer.take(10)[0]!.records), [0, 1, 2, 3]);
});

test('a closed buffer wakes its source, and accepts no records', async () => {
  const buffer = new RecordBuffer({ recordsMax: 2, bytesMax: 1_000 });
  const queue = buffer.open('t', 0);
  buffer.push(queue, recordsFrom(0, 2), 20);
  const room = buffer.whenCapacity();
  buffer.close();
  await room;
  assert.equal(buffer.push(queue, recordsFrom(2, 1), 10), 0);
});
