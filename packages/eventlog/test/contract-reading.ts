import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { LogRecord, ReadRange } from '../src/event-log.ts';
import type { Contract } from './contract.ts';
import { createMember, seqsOf, stopAll } from './member.ts';
import {
  eventually,
  fill,
  keysByPartition,
  newTopic,
  numbersTo,
  readAll,
  recordOf,
  textOf,
  unique,
} from './support.ts';

export function readingPromises(contract: Contract): void {
  async function seqsIn(topic: string, partition: number, range: ReadRange): Promise<number[]> {
    const records: LogRecord[] = [];
    for await (const batch of contract.eventLog().read(topic, partition, range)) {
      assert.ok(batch.length > 0, 'a batch is never empty');
      records.push(...batch);
    }
    return seqsOf(records);
  }

  test('a range is read from `from` up to `until`, exclusive, oldest first', async () => {
    const topic = await newTopic(contract.eventLog(), 2);
    await fill(contract.eventLog(), topic, 2, 100);
    assert.deepEqual(await seqsIn(topic, 1, { from: 10, until: 20 }), numbersTo(20, 10));
    assert.deepEqual(await seqsIn(topic, 1, { from: 0, until: 1 }), [0]);
    assert.deepEqual(await seqsIn(topic, 1, { from: 95 }), numbersTo(100, 95));
    assert.deepEqual(await seqsIn(topic, 1, { from: 95, until: 1_000_000 }), numbersTo(100, 95));
    assert.deepEqual(await seqsIn(topic, 0, { from: 0 }), numbersTo(100));
  });

  test('a range without records is empty', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    assert.deepEqual(await seqsIn(topic, 0, { from: 0 }), [], 'an empty partition');
    await fill(contract.eventLog(), topic, 1, 5);
    assert.deepEqual(await seqsIn(topic, 0, { from: 5 }), [], 'at the end');
    assert.deepEqual(await seqsIn(topic, 0, { from: 99 }), [], 'beyond the end');
    assert.deepEqual(await seqsIn(topic, 0, { from: 3, until: 3 }), [], 'of length 0');
    assert.deepEqual(await seqsIn(topic, 0, { from: 4, until: 2 }), [], 'reversed');
  });

  test('the end positions are those of the next record of each partition', async () => {
    const topic = await newTopic(contract.eventLog(), 2);
    const endPositions = () => contract.eventLog().endOffsets(topic, 10_000);
    // A new leader may not know yet that it leads.
    await eventually('both answer', contract.deadlineMs, async () => !(await endPositions()).includes(undefined));
    assert.deepEqual(await endPositions(), [0, 0]);
    await fill(contract.eventLog(), topic, 2, 7);
    assert.deepEqual(await endPositions(), [7, 7]);
  });

  test('many records are read completely, with batches of any size', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    for (let n = 0; n < 10; n++) await fill(contract.eventLog(), topic, 1, 1_000, n * 1_000);
    const records = await readAll(contract.eventLog(), topic, 0);
    assert.deepEqual(seqsOf(records), numbersTo(10_000));
    assert.deepEqual(
      records.map(textOf),
      numbersTo(10_000).map((n) => `0:${n}`),
    );
  });

  test('reading stops at the end of the partition at its start, also while records are appended', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    await fill(contract.eventLog(), topic, 1, 50);
    const seqs: number[] = [];
    for await (const batch of contract.eventLog().read(topic, 0, { from: 0 })) {
      seqs.push(...seqsOf(batch));
      await fill(contract.eventLog(), topic, 1, 50, 50);
    }
    assert.deepEqual(seqs, numbersTo(50));
  });

  test('a read from the end has what is appended meanwhile, or nothing, and never fails', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    let isReading = true;
    let appended = 0;
    const appending = (async () => {
      for (; isReading; appended++) {
        await fill(contract.eventLog(), topic, 1, 1, appended);
        // A log in this process answers without a turn of the event loop: without this, the reader has none either.
        await setImmediate();
      }
    })();
    try {
      const seqs: number[] = [];
      while (seqs.length < 200) {
        seqs.push(...(await seqsIn(topic, 0, { from: seqs.length })));
        await setImmediate();
      }
      assert.deepEqual(seqs, numbersTo(seqs.length));
    } finally {
      isReading = false;
      await appending;
    }
  });

  test('a reader may stop before the end', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    await fill(contract.eventLog(), topic, 1, 1_000);
    for await (const batch of contract.eventLog().read(topic, 0, { from: 0 })) {
      assert.equal(batch[0]?.seq, 0);
      break;
    }
    assert.deepEqual(await seqsIn(topic, 0, { from: 999 }), [999]);
  });

  test('reading starts at the first retained record if the first records are deleted', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    await fill(contract.eventLog(), topic, 1, 20);
    await contract.harness().forget(topic, 0, 12);
    assert.deepEqual(await seqsIn(topic, 0, { from: 0 }), numbersTo(20, 12));
    assert.deepEqual(await seqsIn(topic, 0, { from: 5, until: 14 }), [12, 13]);
    assert.deepEqual(await seqsIn(topic, 0, { from: 5, until: 8 }), []);
    await eventually('the bounds show it', contract.deadlineMs, async () => {
      assert.deepEqual(await contract.eventLog().bounds(topic), [{ first: 12, next: 20 }]);
      return true;
    });
  });

  test('bounds are those of each partition, in order of partition', async () => {
    const topic = await newTopic(contract.eventLog(), 3);
    const bounds = async () => (await contract.eventLog().bounds(topic)).map(({ first, next }) => [first, next]);
    assert.deepEqual(await bounds(), [
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    const keys = keysByPartition(3);
    await contract
      .eventLog()
      .append(topic, [recordOf(keys[1]!, 'a'), recordOf(keys[2]!, 'b'), recordOf(keys[2]!, 'c')]);
    await eventually('the bounds follow', contract.deadlineMs, async () => {
      assert.deepEqual(await bounds(), [
        [0, 0],
        [0, 1],
        [0, 2],
      ]);
      return true;
    });
  });

  test('bounds and positions of some partitions have no others', async () => {
    const topic = await newTopic(contract.eventLog(), 3);
    await fill(contract.eventLog(), topic, 3, 4);
    const bounds = await contract.eventLog().bounds(topic, [2]);
    assert.deepEqual(bounds[2], { first: 0, next: 4 });
    assert.deepEqual(Object.keys(bounds), ['2']);
    const positions = await contract.eventLog().positionsAt(topic, 0, [0, 1]);
    assert.deepEqual(Object.entries(positions), [
      ['0', 0],
      ['1', 0],
    ]);
  });

  test('positionsAt returns the first record of a time or later, and the end if there is none', async () => {
    const topic = await newTopic(contract.eventLog(), 2);
    const key = keysByPartition(2)[0]!;
    // Appends until the clock of the log has advanced twice, so that the records have three times.
    const records = await eventually('three different times', contract.deadlineMs, async () => {
      await contract.eventLog().append(topic, [recordOf(key, 'x')]);
      const all = await readAll(contract.eventLog(), topic, 0);
      return new Set(all.map((record) => record.timeMs)).size >= 3 && all;
    });
    const last = records[records.length - 1]!;
    for (const { timeMs } of records) {
      const expected = records.find((record) => record.timeMs >= timeMs)!.seq;
      assert.deepEqual(await contract.eventLog().positionsAt(topic, timeMs), [expected, 0]);
    }
    assert.deepEqual(await contract.eventLog().positionsAt(topic, 0), [0, 0]);
    assert.deepEqual(await contract.eventLog().positionsAt(topic, last.timeMs + 3_600_000), [records.length, 0]);
  });

  test('lag is the number of records that a group has not committed, by partition', async () => {
    const topic = await newTopic(contract.eventLog(), 2);
    const group = unique('group');
    await fill(contract.eventLog(), topic, 2, 10);
    const lags = (expected: number[]) =>
      eventually(`lag is ${expected}`, contract.deadlineMs, async () => {
        assert.deepEqual(await contract.eventLog().lag(group, topic), expected);
        return true;
      });
    await lags([10, 10]);
    const member = await createMember(contract.eventLog(), { topics: [topic], group, member: 'a' });
    await eventually('everything came', contract.deadlineMs, () => member.receivedCount() === 20);
    member.subscription.commit(topic, 0, 4);
    member.subscription.commit(topic, 1, 10);
    await stopAll([member]);
    await lags([6, 0]);
    await fill(contract.eventLog(), topic, 2, 1, 10);
    await lags([7, 1]);
  });
}
