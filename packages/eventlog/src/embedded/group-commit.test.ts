import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { GroupCommit, type Write } from './group-commit.ts';

/** A group commit whose flushes the test settles, and the names written in each transaction. */
function setUp({ groupBytesMax = 1_000, groupRecordsMax = 10, pendingBytesMax = 10_000 } = {}) {
  const transactions: string[][] = [];
  const flushes: PromiseWithResolvers<void>[] = [];
  let names: string[] = [];
  const writes = new GroupCommit({
    transaction(apply) {
      names = [];
      apply();
      transactions.push(names);
      flushes.push(Promise.withResolvers<void>());
      return flushes[flushes.length - 1]!.promise;
    },
    committed: () => undefined,
    failed: () => undefined,
    ...{ groupBytesMax, groupRecordsMax, pendingBytesMax },
  });
  const write = (name: string, records: number, bytes = records, flow = 'topic'): Write => ({
    ...{ flow, records, bytes, apply: () => void names.push(name) },
  });
  const end = async () => {
    flushes[flushes.length - 1]!.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const fail = async (error: Error) => {
    flushes[flushes.length - 1]!.reject(error);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const started = () => new Promise((resolve) => setImmediate(resolve));
  return { writes, transactions, write, started, end, fail };
}

test('no transaction holds more records or bytes than the limits, and the order of the writes is kept', async () => {
  const { writes, transactions, write, started, end } = setUp();
  const done = writes.writeAll([write('a', 6), write('b', 4), write('c', 6), write('d', 1, 999), write('e', 1, 5)]);
  const other = writes.write(write('f', 1));
  await started();
  for (let n = 0; n < 4; n++) await end();
  await Promise.all([done, other]);
  assert.deepEqual(transactions, [['a', 'b'], ['c'], ['d'], ['e', 'f']]);
});

test('a write over a limit has its own transaction', async () => {
  const { writes, transactions, write, started, end } = setUp();
  const done = writes.writeAll([write('a', 1), write('b', 50), write('c', 1, 5_000), write('d', 1)]);
  await started();
  for (let n = 0; n < 4; n++) await end();
  await done;
  assert.deepEqual(transactions, [['a'], ['b'], ['c'], ['d']]);
});

test('if one of several writes fails, the following ones are not tried', async () => {
  const { writes, transactions, write, started, end, fail } = setUp();
  const done = writes.writeAll([write('a', 10), write('b', 10), write('c', 10)]);
  await started();
  await end();
  const rejected = assert.rejects(done, /the disk is full/);
  await fail(new TailraceError('storage_full', 'the disk is full'));
  await rejected;
  assert.deepEqual(transactions, [['a'], ['b']]);
  assert.equal(writes.pendingBytes, 0);
});

test('at the limit several writes are refused together', async () => {
  const { writes, transactions, write, started, end } = setUp({ pendingBytesMax: 100 });
  const first = writes.write(write('a', 10));
  const second = writes.write(write('b', 10));
  await assert.rejects(writes.writeAll([write('c', 10), write('d', 90)]), { code: 'unavailable' });
  await started();
  await end();
  await end();
  await Promise.all([first, second]);
  assert.deepEqual(transactions, [['a'], ['b']]);
});

test('a write does not wait for those of other flows that came before; each flow keeps its order', async () => {
  const { writes, transactions, write, started, end } = setUp();
  const checkpoint = ['s1', 's2', 's3', 's4', 's5'].map((name) => write(name, 5, 5, 'state'));
  const done = [writes.writeAll(checkpoint), writes.write(write('a', 1)), writes.write(write('b', 1))];
  await started();
  done.push(writes.write(write('c', 1)));
  for (let n = 0; n < 4; n++) await end();
  await Promise.all(done);
  assert.deepEqual(transactions, [['s1', 'a', 'b'], ['s2', 'c'], ['s3', 's4'], ['s5']]);
});

test('a write that frees space is accepted at the limit, so that retention goes on while the log is overloaded', async () => {
  const { writes, transactions, write, started, end } = setUp({ pendingBytesMax: 100 });
  const appends = [writes.write(write('a', 10)), writes.write(write('b', 10, 90))];
  const retention = writes.write({ ...write('retention', 10, 50, 'retention'), frees: true });
  await assert.rejects(writes.write(write('c', 1)), { code: 'unavailable' });
  await started();
  for (let n = 0; n < 3; n++) await end();
  await Promise.all([...appends, retention]);
  assert.deepEqual(transactions, [['a'], ['retention'], ['b']]);
});
