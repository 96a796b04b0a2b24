import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import { callRecordsMax } from '../call-size.ts';
import type { LogBatch, LogRecord } from '../eventlog.ts';
import { createLease, KafkaDelivery, type Lease } from './delivery.ts';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
const recordsFrom = (seq: number, count: number): LogRecord[] =>
  Array.from({ length: count }, (_, n) => ({ seq: seq + n, timeMs: 0, key: 'k', value: new Uint8Array(10) }));

function setUp() {
  const calls: (readonly LogBatch[])[] = [];
  const delivery = new KafkaDelivery({
    ...{ clock: createFakeClock(), recordsMax: 10_000, bytesMax: 1_000_000 },
    onBatches: (batches) => void calls.push(batches),
    report: assert.fail,
  });
  const push = (lease: Lease, seq: number, count: number) =>
    assert.equal(delivery.push(lease, recordsFrom(seq, count), count * 10), count);
  const counts = () => calls.map((batches) => batches.reduce((sum, { records }) => sum + records.length, 0));
  const seqs = (partition: number) =>
    calls
      .flat()
      .filter((batch) => batch.partition === partition)
      .flatMap(({ records }) => records.map(({ seq }) => seq));
  return { delivery, calls, push, counts, seqs };
}

test('what comes at once is handed over in calls of bounded size, one a turn, each partition in order', async () => {
  const { delivery, calls, push, counts, seqs } = setUp();
  const [one, other] = [createLease('t', 0, 'id', 0), createLease('t', 1, 'id', 0)];
  push(one, 0, 700);
  push(other, 0, 200);
  push(one, 700, 300);
  await nextTurn();
  assert.equal(calls.length, 1);
  assert.equal(delivery.queue().records, 1_200 - callRecordsMax);
  for (let n = 0; n < 4; n++) await nextTurn();
  assert.deepEqual(counts(), [500, 500, 200]);
  assert.deepEqual(
    seqs(0),
    Array.from({ length: 1_000 }, (_, n) => n),
  );
  assert.deepEqual(
    seqs(1),
    Array.from({ length: 200 }, (_, n) => n),
  );
  assert.equal(delivery.queue().records, 0);
  await delivery.end();
});

test('a subscriber that is behind has larger calls', async () => {
  const { delivery, push, counts, seqs } = setUp();
  push(createLease('t', 0, 'id', 0), 0, 6_500);
  for (let n = 0; n < 8; n++) await nextTurn();
  assert.deepEqual(counts(), [2_000, 2_000, 500, 500, 500, 500, 500]);
  assert.equal(seqs(0).length, 6_500);
  await delivery.end();
});

test('what is held or gone meanwhile is not handed over with the rest of a fetch', async () => {
  const { delivery, push, counts, seqs } = setUp();
  const [lost, held] = [createLease('t', 0, 'id', 0), createLease('t', 1, 'id', 0)];
  push(lost, 0, 800);
  push(held, 0, 10);
  await nextTurn();
  lost.gone = true;
  held.held = true;
  delivery.sweep();
  for (let n = 0; n < 3; n++) await nextTurn();
  assert.deepEqual(counts(), [500]);
  held.held = false;
  delivery.kick();
  await nextTurn();
  assert.deepEqual(counts(), [500, 10]);
  assert.equal(seqs(0).length, 500);
  await delivery.end();
});
