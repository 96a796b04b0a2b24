import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogBatch } from '../src/event-log.ts';
import type { Contract } from './contract.ts';
import { createMember, seqsOf, stopAll } from './member.ts';
import {
  createGate,
  eventually,
  fill,
  keysByPartition,
  newTopic,
  numbersTo,
  recordOf,
  textOf,
  unique,
} from './support.ts';

/** Returns the contents of the batches of one call, to compare calls. */
function contentsOf(batches: readonly LogBatch[]): [string, number, number[]][] {
  return batches.map((batch) => [batch.topic, batch.partition, seqsOf(batch.records)]);
}

export function deliveryPromises(contract: Contract): void {
  const until = <T>(promise: string, check: () => T | Promise<T>) => eventually(promise, contract.deadlineMs, check);
  const alone = (topics: readonly string[]) => ({ topics, group: unique('group'), member: 'a' });

  test('a single member gets every record, earlier and later ones, in the order of each partition', async () => {
    const topic = await newTopic(contract.eventLog(), 3);
    await fill(contract.eventLog(), topic, 3, 50);
    const member = await createMember(contract.eventLog(), alone([topic]));
    await until('the earlier ones are received', () => member.receivedCount() === 150);
    await fill(contract.eventLog(), topic, 3, 50, 50);
    await until('the later ones are received', () => member.receivedCount() === 300);
    for (const partition of numbersTo(3)) {
      assert.deepEqual(seqsOf(member.received(topic, partition)), numbersTo(100));
      assert.deepEqual(
        member.received(topic, partition).map(textOf),
        numbersTo(100).map((n) => `${partition}:${n}`),
      );
    }
    await stopAll([member]);
  });

  test('the assignment is before any record, with all partitions gained', async () => {
    const topic = await newTopic(contract.eventLog(), 4);
    await fill(contract.eventLog(), topic, 4, 1);
    let recordsBefore = -1;
    let count = 0;
    const member = await createMember(contract.eventLog(), {
      ...alone([topic]),
      async start() {
        await Promise.resolve();
        if (recordsBefore < 0) recordsBefore = count;
        return undefined;
      },
      onCall() {
        count++;
      },
    });
    await until('everything is received', () => member.receivedCount() === 4);
    assert.equal(recordsBefore, 0);
    const first = member.assignments[0]!;
    assert.deepEqual([...first.partitions].sort(), numbersTo(4));
    assert.deepEqual([...first.gained].sort(), numbersTo(4));
    assert.deepEqual(first.lost, []);
    await stopAll([member]);
  });

  test('a single record is delivered without waiting for later ones', async () => {
    const topic = await newTopic(contract.eventLog(), 2);
    const member = await createMember(contract.eventLog(), { ...alone([topic]), flushMs: 20 });
    await until('assigned', () => member.partitions().length === 2);
    for (let n = 0; n < 5; n++) {
      await fill(contract.eventLog(), topic, 1, 1, n);
      await until(`record ${n} is received`, () => member.receivedCount() === n + 1);
    }
    await stopAll([member]);
  });

  test('reading starts at the positions of onAssigned, by topic and partition, else at the first record', async () => {
    const topic = await newTopic(contract.eventLog(), 3);
    await fill(contract.eventLog(), topic, 3, 10);
    const member = await createMember(contract.eventLog(), {
      ...alone([topic]),
      start: () => ({ [topic]: { 0: 7, 2: 10 } }),
    });
    await until('the selected records are received', () => member.receivedCount() === 13);
    await fill(contract.eventLog(), topic, 3, 1, 10);
    await until('the next records are received', () => member.receivedCount() === 16);
    assert.deepEqual(seqsOf(member.received(topic, 0)), numbersTo(11, 7));
    assert.deepEqual(seqsOf(member.received(topic, 1)), numbersTo(11));
    assert.deepEqual(seqsOf(member.received(topic, 2)), [10]);
    await stopAll([member]);
  });

  test('a pending start position delays its own partition alone, also over changes of the group', async () => {
    const topic = await newTopic(contract.eventLog(), 3);
    const group = unique('group');
    await fill(contract.eventLog(), topic, 3, 10);
    const start = Promise.withResolvers<number>();
    const unknown = Promise.withResolvers<number>();
    const member = await createMember(contract.eventLog(), {
      ...{ topics: [topic], group, member: 'a' },
      start: ({ gained }) =>
        gained.includes(1) ? { [topic]: { 0: 4, 1: start.promise, 2: unknown.promise } } : undefined,
    });
    await until('the partition with a start position is read', () => member.receivedCount() === 6);
    await fill(contract.eventLog(), topic, 3, 1, 10);
    await until('it continues', () => member.receivedCount() === 7);
    assert.deepEqual(seqsOf(member.received(topic, 1)), []);
    unknown.reject(new Error('never'));
    await until('the error is reported', () => member.errors.some(({ message }) => message.includes('never')));
    start.resolve(8);
    await until('the partition of the pending start is read', () => member.received(topic, 1).length === 3);
    assert.deepEqual(seqsOf(member.received(topic, 1)), [8, 9, 10]);
    assert.deepEqual(seqsOf(member.received(topic, 2)), []);
    await stopAll([member]);
  });

  test('a start position that is known after its partition was lost has no effect', async () => {
    const topic = await newTopic(contract.eventLog(), 6);
    const group = unique('group');
    await fill(contract.eventLog(), topic, 6, 2);
    const starts: ((position: number) => void)[] = [];
    const never = (topicName: string, gained: readonly number[]) => {
      const positions: Record<number, Promise<number>> = {};
      for (const partition of gained) positions[partition] = new Promise((resolve) => starts.push(resolve));
      return { [topicName]: positions };
    };
    const first = await createMember(contract.eventLog(), {
      ...{ topics: [topic], group, member: 'a' },
      start: ({ gained }) => never(topic, gained),
    });
    await until('it has all partitions', () => first.partitions().length === 6);
    const second = await createMember(contract.eventLog(), { topics: [topic], group, member: 'b' });
    await until('they share', () => first.partitions().length < 6 && second.partitions().length > 0);
    for (const resolve of starts) resolve(0);
    await until('each has its partitions', () => first.receivedCount() + second.receivedCount() >= 12);
    for (const member of [first, second]) {
      for (const partition of numbersTo(6)) {
        const isOwn = member.partitions().includes(partition);
        assert.equal(member.received(topic, partition).length, isOwn ? 2 : 0, `${partition} of ${member.name}`);
      }
    }
    await stopAll([first, second]);
  });

  test('without a position of onAssigned reading starts at the commit of the group, also for another member', async () => {
    const topic = await newTopic(contract.eventLog(), 2);
    const group = unique('group');
    await fill(contract.eventLog(), topic, 2, 10);
    const first = await createMember(contract.eventLog(), { topics: [topic], group, member: 'a' });
    await until('everything is received', () => first.receivedCount() === 20);
    first.subscription.commit(topic, 0, 3);
    first.subscription.commit(topic, 0, 6);
    await stopAll([first]);
    const second = await createMember(contract.eventLog(), { topics: [topic], group, member: 'b' });
    await until('the uncommitted records are received', () => second.receivedCount() === 14);
    assert.deepEqual(seqsOf(second.received(topic, 0)), numbersTo(10, 6));
    assert.deepEqual(seqsOf(second.received(topic, 1)), numbersTo(10));
    await stopAll([second]);
    const third = await createMember(contract.eventLog(), {
      topics: [topic],
      group,
      member: 'c',
      start: () => ({ [topic]: { 0: 2 } }),
    });
    await until('a start position overrides the committed one', () => third.receivedCount() === 18);
    assert.deepEqual(seqsOf(third.received(topic, 0)), numbersTo(10, 2));
    await stopAll([third]);
  });

  test('a deleted start position means the first retained record', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    await fill(contract.eventLog(), topic, 1, 20);
    await contract.harness().forget(topic, 0, 8);
    const member = await createMember(contract.eventLog(), { ...alone([topic]), start: () => ({ [topic]: { 0: 3 } }) });
    await until('the retained records are received', () => member.receivedCount() === 12);
    assert.deepEqual(seqsOf(member.received(topic, 0)), numbersTo(20, 8));
    await stopAll([member]);
  });

  test('two groups each get every record', async () => {
    const topic = await newTopic(contract.eventLog(), 2);
    const one = await createMember(contract.eventLog(), alone([topic]));
    const two = await createMember(contract.eventLog(), alone([topic]));
    await fill(contract.eventLog(), topic, 2, 20);
    await until('both have received all', () => one.receivedCount() === 40 && two.receivedCount() === 40);
    await stopAll([one, two]);
  });

  test('while a call is pending there is no other; records wait, and are delivered from several partitions at once', async () => {
    const topic = await newTopic(contract.eventLog(), 4);
    const gate = createGate();
    const member = await createMember(contract.eventLog(), { ...alone([topic]), onCall: () => gate.opened });
    await fill(contract.eventLog(), topic, 1, 1);
    await until('the first call is pending', () => member.running() === 1);
    const before = member.receivedCount();
    await fill(contract.eventLog(), topic, 4, 10, 1);
    await until('the others wait', () => member.subscription.queue().records === 41 - before);
    assert.equal(member.calls.length, 1);
    gate.open();
    await until('everything is received', () => member.receivedCount() === 41);
    assert.ok(
      member.calls.some((batches) => new Set(batches.map((batch) => batch.partition)).size > 1),
      'one call with several partitions',
    );
    await until('the queue is empty', () => member.subscription.queue().records === 0);
    await stopAll([member]);
  });

  test('a slow subscriber has at most its queue of records; all are received when it continues', async () => {
    const queueRecordsMax = 100;
    const harness = await contract.options.create({ queueRecordsMax });
    try {
      const { eventLog } = harness;
      const topic = await newTopic(eventLog, 3);
      const gate = createGate();
      const fullest: number[] = [];
      const member = await createMember(eventLog, {
        ...alone([topic]),
        onCall: () => {
          fullest.push(member.subscription.queue().records);
          return gate.opened;
        },
      });
      assert.equal(member.subscription.queue().recordsMax, queueRecordsMax);
      await until('assigned', () => member.partitions().length === 3);
      await fill(eventLog, topic, 3, 1);
      await until('the first call is pending', () => member.running() === 1);
      for (let n = 0; n < 10; n++) {
        await fill(eventLog, topic, 3, 100, 1 + n * 100);
        fullest.push(member.subscription.queue().records);
      }
      await until('records wait', () => member.subscription.queue().records > 0);
      assert.equal(member.calls.length, 1, 'no second call');
      gate.open();
      await until('everything is received', () => {
        fullest.push(member.subscription.queue().records);
        return member.receivedCount() === 3_003;
      });
      assert.ok(
        Math.max(...fullest) <= queueRecordsMax,
        `at most ${queueRecordsMax} wait, not ${Math.max(...fullest)}`,
      );
      for (const partition of numbersTo(3))
        assert.deepEqual(seqsOf(member.received(topic, partition)), numbersTo(1_001));
      await stopAll([member]);
    } finally {
      await harness.dispose();
    }
  });

  test('a rejection is reported, and the same batches are delivered again before newer ones', async () => {
    const topic = await newTopic(contract.eventLog(), 2);
    await fill(contract.eventLog(), topic, 2, 5);
    const seen: ReturnType<typeof contentsOf>[] = [];
    const member = await createMember(contract.eventLog(), {
      ...alone([topic]),
      async onCall(batches, callNumber) {
        seen.push(contentsOf(batches));
        if (callNumber === 1) await fill(contract.eventLog(), topic, 2, 5, 5);
        if (callNumber <= 2) throw new Error(`no to call ${callNumber}`);
      },
    });
    const repeated = () => seen.slice(0, 2).flatMap((batches) => batches.flatMap(([, , seqs]) => seqs)).length;
    await until('everything is received', () => seen.length > 2 && member.receivedCount() === 20 + repeated());
    assert.deepEqual(seen[1], seen[0]);
    assert.deepEqual(seen[2], seen[0]);
    assert.ok(member.errors.some((error) => /no to call 1/.test(`${error.message} ${error.cause}`)));
    const accepted = new Map<number, number[]>();
    for (const batches of seen.slice(2)) {
      for (const [, partition, seqs] of batches) accepted.set(partition, [...(accepted.get(partition) ?? []), ...seqs]);
    }
    for (const partition of numbersTo(2)) assert.deepEqual(accepted.get(partition), numbersTo(10));
    await member.subscription.stop();
  });

  test('a subscriber that throws synchronously is treated as one that rejects', async () => {
    const topic = await newTopic(contract.eventLog(), 1);
    await fill(contract.eventLog(), topic, 1, 3);
    let calls = 0;
    const errors: Error[] = [];
    const seqs: number[] = [];
    const subscription = await contract.eventLog().subscribe({
      ...alone([topic]),
      flushMs: 5,
      onAssigned: () => undefined,
      onBatches(batches) {
        calls++;
        if (calls === 1) throw new Error('at once');
        for (const batch of batches) seqs.push(...seqsOf(batch.records));
      },
      onError: (error) => errors.push(error),
    });
    await until('the records are delivered again', () => seqs.length === 3);
    assert.deepEqual(seqs, [0, 1, 2]);
    assert.ok(errors.length >= 1);
    await subscription.stop();
  });

  test('stop waits for the call in progress and writes its commits; there is no call after it', async () => {
    const topic = await newTopic(contract.eventLog(), 2);
    const group = unique('group');
    const gate = createGate();
    const member = await createMember(contract.eventLog(), {
      topics: [topic],
      group,
      member: 'a',
      onCall: () => gate.opened,
    });
    await contract.eventLog().append(topic, [recordOf(keysByPartition(2)[0]!, 'first')]);
    await until('a call is pending', () => member.running() === 1);
    await fill(contract.eventLog(), topic, 2, 20, 1);
    const stopping = member.subscription.stop();
    member.subscription.commit(topic, 0, 1);
    gate.open();
    await stopping;
    await member.subscription.stop();
    assert.equal(member.running(), 0);
    const calls = member.calls.length;
    const witness = await createMember(contract.eventLog(), alone([topic]));
    await until('another group gets every record', () => witness.receivedCount() === 41);
    assert.equal(member.calls.length, calls);
    await until('the commit is written', async () => (await contract.eventLog().lag(group, topic))[0] === 20);
    await stopAll([member, witness]);
  });

  test('topics with the same number of partitions are assigned together', async () => {
    const [one, two] = [await newTopic(contract.eventLog(), 4), await newTopic(contract.eventLog(), 4)];
    await fill(contract.eventLog(), one, 4, 10);
    await fill(contract.eventLog(), two, 4, 20);
    const member = await createMember(contract.eventLog(), {
      ...alone([one, two]),
      commits: true,
      start: () => ({ [two]: { 1: 15 } }),
    });
    await until('everything is received', () => member.receivedCount() === 40 + 65);
    for (const partition of numbersTo(4)) {
      assert.deepEqual(seqsOf(member.received(one, partition)), numbersTo(10));
      assert.deepEqual(seqsOf(member.received(two, partition)), numbersTo(20, partition === 1 ? 15 : 0));
    }
    await stopAll([member]);
  });

  test('topics with different numbers of partitions cannot be subscribed together', async () => {
    const [one, two] = [await newTopic(contract.eventLog(), 2), await newTopic(contract.eventLog(), 3)];
    await assert.rejects(createMember(contract.eventLog(), alone([one, two])), { code: 'invalid_config' });
    await assert.rejects(createMember(contract.eventLog(), alone([])), { code: 'invalid_config' });
  });
}
